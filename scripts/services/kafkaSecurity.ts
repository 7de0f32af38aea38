/**
 * What a broker with SASL_SSL, mTLS and ACLs needs: certificates, users, listeners.
 *
 * Users: `reader` may read every topic and use every group once granted by ACL (topics.ts
 * `grantRead`); `stranger` can log in and may do nothing. Passwords are only for loopback tests.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { freePort } from "./process.ts";

/** Secure side of a broker. */
export interface KafkaSecurity {
  /** `127.0.0.1:port` of the listener with PLAIN, SCRAM-SHA-256/512 and OAUTHBEARER over TLS. */
  readonly saslSsl: string;
  /** `127.0.0.1:port` of the listener that demands a client certificate. */
  readonly mutualTls: string;
  /** User name -> password, for PLAIN and both SCRAM mechanisms. */
  readonly users: Readonly<Record<"reader" | "stranger", string>>;
  readonly certificates: Certificates;
  /** Added to the broker's `listeners` and `advertised.listeners`. */
  readonly listeners: string;
  readonly brokerProperties: Readonly<Record<string, string>>;
  /** Further arguments of `kafka-storage format`. */
  readonly formatArguments: readonly string[];
}

const USERS = { reader: "reader-secret-81", stranger: "stranger-secret-17" } as const;

/** Makes certificates (once per folder) and the broker properties that use them. */
export async function prepareSecurity(folder: string): Promise<KafkaSecurity> {
  const certificateFolder = join(folder, "certificates");
  const fresh = !existsSync(certificateFolder);
  mkdirSync(certificateFolder, { recursive: true });
  const certificates = await makeCertificates(certificateFolder, fresh);
  const [sasl, mutual] = [freePort(), freePort()];
  return {
    saslSsl: `127.0.0.1:${sasl}`,
    mutualTls: `127.0.0.1:${mutual}`,
    users: USERS,
    certificates,
    listeners: `,SASL_SSL://127.0.0.1:${sasl},SSL://127.0.0.1:${mutual}`,
    brokerProperties: secureProperties(certificates),
    formatArguments: Object.entries(USERS).flatMap(([name, password]) =>
      ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(
        (mechanism) => `--add-scram=${mechanism}=[name=${name},password=${password}]`,
      ),
    ),
  };
}

function secureProperties({ ca, serverKeyStore }: Certificates): Record<string, string> {
  const plainUsers = Object.entries(USERS).map(([name, word]) => `user_${name}="${word}"`);
  const login = "org.apache.kafka.common.security";
  return {
    "listener.security.protocol.map":
      "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    "listener.name.sasl_ssl.plain.sasl.jaas.config": `${login}.plain.PlainLoginModule required ${plainUsers.join(" ")};`,
    "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": `${login}.scram.ScramLoginModule required;`,
    "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": `${login}.scram.ScramLoginModule required;`,
    "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": `${login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": serverKeyStore,
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": ca,
    "listener.name.ssl.ssl.client.auth": "required",
    "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "allow.everyone.if.no.acl.found": "false",
  };
}
