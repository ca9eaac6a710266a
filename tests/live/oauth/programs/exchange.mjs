// openid-client redeems a delegation token by token exchange (RFC 8693), refreshes, and tries it again.
import * as client from "openid-client";

const [issuer, clientId, clientSecret, token, resource] = process.argv.slice(2);
const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
const config = await client.discovery(
  new URL(issuer), clientId, undefined, client.ClientSecretBasic(clientSecret),
  { execute: [client.allowInsecureRequests], algorithm: "oauth2" });
const request = {
  subject_token: token,
  subject_token_type: "urn:agentgate:params:oauth:token-type:delegation",
  requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
  scope: "email:read",
  resource,
};

const tokens = await client.genericGrantRequest(config, grant, request);
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
let again = "accepted";
try {
  await client.genericGrantRequest(config, grant, request);
} catch (error) {
  again = error.error;
}
console.log(`RESULT ${JSON.stringify({
  offered: config.serverMetadata().grant_types_supported.includes(grant),
  type: tokens.issued_token_type, scope: tokens.scope, renewed: renewed.scope, token: renewed.access_token, again,
})}`);
