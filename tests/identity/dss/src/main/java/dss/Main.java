package dss;

import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import java.io.File;

/**
 * Validates the signatures of documents: Main FILE...
 *
 * <p>Writes one line for each signature: file, format, indication and sub-indication ("-" where there is none). The certificates
 * that a document brings along are taken as trusted: whether the key is the participant's is decided elsewhere. Nothing is
 * fetched.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        for (String name : args) {
            SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(new File(name)));
            CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
            validator.getSignatures().forEach(signature -> {
                for (CertificateToken token : signature.getCertificates()) {
                    trusted.addCertificate(token);
                }
            });
            CommonCertificateVerifier verifier = new CommonCertificateVerifier();
            verifier.setTrustedCertSources(trusted);
            verifier.setAIASource(null);
            validator.setCertificateVerifier(verifier);
            Reports reports = validator.validateDocument();
            SimpleReport report = reports.getSimpleReport();
            for (String id : report.getSignatureIdList()) {
                Object sub = report.getSubIndication(id);
                System.out.println(String.join(" ", new File(name).getName(), report.getSignatureFormat(id).toString(),
                        report.getIndication(id).toString(), sub == null ? "-" : sub.toString()));
            }
        }
    }
}
