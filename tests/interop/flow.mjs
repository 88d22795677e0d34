// Clients of EDC's Management API version 3 against two connectors: everything that a data space is used for, with a client that
// we did not write. Reads one JSON document from standard input, writes one JSON document for each step.
import { EdcConnectorClient, PolicyBuilder } from "@think-it-labs/edc-connector-client";
import { text } from "node:stream/consumers";

const told = JSON.parse(await text(process.stdin));
const said = (step, value) => process.stdout.write(JSON.stringify({ step, value: value ?? null }) + "\n");
const client = ({ management, key }) =>
  new EdcConnectorClient.Builder().managementUrl(management).defaultUrl(management).apiToken(key).build();
const provider = client(told.provider).management;
const consumer = client(told.consumer).management;
const counterParty = { counterPartyAddress: told.provider.address, counterPartyId: told.provider.id };

async function refusal(work) {
  try {
    await work();
  } catch (error) {
    return error.type;
  }
  return "not refused";
}

async function reached(read, state) {
  for (let tries = 0; tries < 150; tries += 1) {
    const found = (await read()).state;
    if (found === state) return found;
    if (found === "TERMINATED") throw new Error(`terminated before ${state}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`not ${state} in time`);
}

const equals = (operandLeft, operandRight) => ({ filterExpression: [{ operandLeft, operator: "=", operandRight }] });
const NS = "https://w3id.org/edc/v0.0.1/ns/";

// -- the health of both
said("health", (await client(told.provider).observability.checkHealth()).isSystemHealthy);

// -- secrets: written, replaced, known to be there, never read
await provider.secrets.create({ "@id": "ts-source-key", value: told.sourceKey });
await provider.secrets.update({ "@id": "ts-source-key", value: told.sourceKey });
const secret = await provider.secrets.get("ts-source-key");
said("secret", { id: secret.id, value: secret.value ?? null });

// -- assets
const asset = {
  "@id": "ts-trips",
  properties: { name: "Trips", contenttype: "application/json" },
  dataAddress: {
    type: "HttpData",
    baseUrl: told.source,
    proxyPath: "true",
    proxyQueryParams: "true",
    authKey: "x-source-key",
    secretName: "ts-source-key",
  },
};
const kept = await provider.assets.create(asset);
said("asset", { id: kept.id, created: kept.createdAt > 0 });
said("asset twice", await refusal(() => provider.assets.create(asset)));
await provider.assets.update({ ...asset, properties: { ...asset.properties, name: "Trips of a city" } });
const read = await provider.assets.get("ts-trips");
said("asset read", {
  id: read.id,
  name: read.properties.mandatoryValue("edc", "name"),
  type: read.dataAddress.mandatoryValue("edc", "type"),
});
said("asset unknown", await refusal(() => provider.assets.get("nothing")));
said("assets", (await provider.assets.queryAll()).map((each) => each.id));
said("assets by name", (await provider.assets.queryAll(equals("name", "Trips of a city"))).map((each) => each.id));
said("assets by no such field", await refusal(() => provider.assets.queryAll(equals("nmae", "x"))));

// -- policies
const policy = new PolicyBuilder().type("Set").raw({ permission: [{ action: "use" }] }).build();
said("policy", (await provider.policyDefinitions.create({ "@id": "ts-use", policy })).id);
const use = await provider.policyDefinitions.get("ts-use");
said("policy read", { id: use.id, permissions: use.policy.permissions.length });
await provider.policyDefinitions.update("ts-use", { "@id": "ts-use", policy });
said("policies", (await provider.policyDefinitions.queryAll()).map((each) => each.id));

// -- contract definitions
const definition = {
  "@id": "ts-offers",
  accessPolicyId: "ts-use",
  contractPolicyId: "ts-use",
  assetsSelector: [{ operandLeft: `${NS}id`, operator: "=", operandRight: "ts-trips" }],
};
said("definition", (await provider.contractDefinitions.create(definition)).id);
said("definition read", (await provider.contractDefinitions.get("ts-offers")).accessPolicyId);
await provider.contractDefinitions.update(definition);
said("definitions", (await provider.contractDefinitions.queryAll()).map((each) => each.id));
said("policy in use", await refusal(() => provider.policyDefinitions.delete("ts-use")));

// -- the catalogue, from the other side
const catalog = await consumer.catalog.request(counterParty);
said("catalog", { participant: catalog.participantId, datasets: catalog.datasets.map((each) => each.id) });
const dataset = await consumer.catalog.requestDataset({ "@id": "ts-trips", ...counterParty });
const offer = dataset.offers[0];
said("dataset", { id: dataset.id, offers: dataset.offers.length });
said("catalog of nobody", await refusal(() => consumer.catalog.request({ ...counterParty, counterPartyAddress: told.nobody })));

// -- the contract
const begun = await consumer.contractNegotiations.initiate({
  ...counterParty,
  policy: new PolicyBuilder()
    .type("Offer")
    .raw({ "@id": offer.id, assigner: told.provider.id, target: "ts-trips", permission: [{ action: "use" }] })
    .build(),
});
said("negotiation", await reached(() => consumer.contractNegotiations.getState(begun.id), "FINALIZED"));
const negotiation = await consumer.contractNegotiations.get(begun.id);
const agreed = await consumer.contractNegotiations.getAgreement(begun.id);
said("agreement", { same: negotiation.contractAgreementId === agreed.id, asset: agreed.assetId, provider: agreed.providerId });
const agreements = await consumer.contractAgreements.queryAll(equals("assetId", "ts-trips"));
said("agreements", agreements.map((each) => each.id === agreed.id));
said("agreement's negotiation", (await consumer.contractAgreements.getNegotiation(agreed.id)).id === begun.id);
said("negotiations", (await consumer.contractNegotiations.queryAll(equals("state", "FINALIZED"))).some((each) => each.id === begun.id));
said("asset in use", await refusal(() => provider.assets.delete("ts-trips")));

// -- the transfer, its data reference, and the data
const transfer = await consumer.transferProcesses.initiate({
  ...counterParty,
  contractId: agreed.id,
  transferType: "HttpData-PULL",
});
said("transfer", await reached(() => consumer.transferProcesses.getState(transfer.id), "STARTED"));
const found = await consumer.transferProcesses.queryAll({ ...equals("contractId", agreed.id), sortField: "createdAt", sortOrder: "DESC" });
said("transfers", found.map((each) => ({ same: each.id === transfer.id, asset: each.assetId, type: each.type })));
const entries = await consumer.edrs.request(equals("agreementId", agreed.id));
said("edrs", entries.map((each) => ({ same: each.transferProcessId === transfer.id, asset: each.assetId })));
const address = await consumer.edrs.dataAddress(transfer.id);
const endpoint = address.mandatoryValue("edc", "endpoint");
const authorization = address.mandatoryValue("edc", "authorization");
const pulled = await fetch(`${endpoint}/zones/7?hours=2`, { headers: { Authorization: authorization } });
said("download", { status: pulled.status, body: await pulled.json() });
const missing = await fetch(`${endpoint}/missing`, { headers: { Authorization: authorization } });
said("download of nothing", missing.status);

// -- the end of it
await consumer.transferProcesses.terminate(transfer.id, "enough");
said("transfer ended", await reached(() => consumer.transferProcesses.getState(transfer.id), "TERMINATED"));
said("edr ended", await refusal(() => consumer.edrs.dataAddress(transfer.id)));
const after = await fetch(endpoint, { headers: { Authorization: authorization } });
said("download ended", after.status >= 400);
await provider.contractDefinitions.delete("ts-offers");
said("catalog without", (await consumer.catalog.request(counterParty)).datasets.map((each) => each.id));
await provider.policyDefinitions.delete("ts-use");
said("data planes", (await provider.dataplanes.list()).length > 0);
