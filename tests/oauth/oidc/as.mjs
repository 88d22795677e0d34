// An OAuth 2 authorization server on a free port of loopback, for tests.
//
// Each line on standard input is a command in JSON, each is answered by one line on standard output; when the input ends, so does
// the server. {"configure": {"clients", "resources", "keys", "lifetime_s", "nonces"}} sets it up, from the start or
// anew; {"count": true} asks how often each path was requested.

import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import readline from 'node:readline';

// It is installed where this is run, not where this file stands.
const { default: Provider, errors } = await import(createRequire(`${process.cwd()}/`).resolve('oidc-provider'));

const SCOPES = ['catalog', 'negotiation', 'transfer', 'messages'];
const MAX_ASSERTION_S = 300;

// Standard output is for answers.
console.info = console.log = console.warn = console.error;

const requests = {};
let handle = (_request, response) => response.writeHead(503).end();

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  requests[pathname] = (requests[pathname] ?? 0) + 1;
  handle(request, response);
});

// RFC 10070: the issuer alone is the audience; an assertion is no other kind of token, and short-lived.
function strictAssertion(ctx, claims, header) {
  const lifetime = claims.exp - claims.iat;
  if (claims.aud !== ctx.oidc.issuer) throw new errors.InvalidClientAuth('the audience must be the issuer alone');
  if (header.typ !== 'client-authentication+jwt') throw new errors.InvalidClientAuth('typ must be client-authentication+jwt');
  if (!(lifetime > 0 && lifetime <= MAX_ASSERTION_S)) throw new errors.InvalidClientAuth('the assertion lives too long');
}

function registered({ id, keys, secret, dpop }) {
  const authentication = secret
    ? { token_endpoint_auth_method: 'client_secret_post', client_secret: secret }
    : { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys } };
  return {
    client_id: id,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    ...authentication,
    dpop_bound_access_tokens: dpop,
    scope: SCOPES.join(' '),
  };
}

function resourceServer(resources, lifetime) {
  return (_ctx, indicator) => {
    if (!resources.includes(indicator)) throw new errors.InvalidTarget();
    return {
      scope: SCOPES.join(' '),
      audience: indicator,
      accessTokenTTL: lifetime,
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg: 'ES256' } },
    };
  };
}

function configure(issuer, { clients, resources, keys, lifetime_s: lifetime, nonces }) {
  const claims = new Map(clients.map((client) => [client.id, client.claims]));
  const provider = new Provider(issuer, {
    clients: clients.map(registered),
    jwks: { keys },
    scopes: SCOPES,
    // All our keys are of elliptic curves, and the default is RSA.
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientAuthMethods: ['private_key_jwt', 'client_secret_post'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'EdDSA'], dPoPSigningAlgValues: ['ES256', 'EdDSA'] },
    assertJwtClientAuthClaimsAndHeader: strictAssertion,
    extraTokenClaims: (_ctx, token) => claims.get(token.clientId),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true, requireNonce: () => nonces, nonceSecret: randomBytes(32) },
      resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer(resources, lifetime) },
    },
  });
  handle = provider.callback();
}

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  readline
    .createInterface({ input: process.stdin })
    .on('line', (line) => {
      const command = JSON.parse(line);
      if (command.configure) configure(issuer, command.configure);
      process.stdout.write(`${JSON.stringify({ issuer, requests })}\n`);
    })
    .on('close', () => process.exit(0));
});
