// openid-client against the server: discovery, PAR, code, refresh, client credentials, introspection, revocation.
// Prints the authorization URL, reads from stdin where the browser was sent, prints a JSON line of what happened.
import { createInterface } from "node:readline/promises";
import * as client from "openid-client";

const [issuer, clientId, clientSecret, serverId, serverSecret, resource, redirectUri] = process.argv.slice(2);
const options = { execute: [client.allowInsecureRequests], algorithm: "oauth2" };
const lines = createInterface({ input: process.stdin });
const config = await client.discovery(
  new URL(issuer), clientId, { redirect_uris: [redirectUri] }, client.ClientSecretBasic(clientSecret), options);

const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const request = {
  redirect_uri: redirectUri,
  scope: "email:read email:send",
  resource,
  state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
};
const pushed = process.env.PUSH
  ? await client.buildAuthorizationUrlWithPAR(config, request)
  : client.buildAuthorizationUrl(config, request);
console.log(`URL ${pushed.href}`);

const answer = new URL(await lines.question(""));
const checks = { pkceCodeVerifier: verifier, expectedState: state };
const tokens = await client.authorizationCodeGrant(config, answer, checks, { resource });
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token, { scope: "email:read" });
const alone = await client.clientCredentialsGrant(config, { scope: "email:read" });

const service = await client.discovery(
  new URL(issuer), serverId, undefined, client.ClientSecretBasic(serverSecret), options);
const live = await client.tokenIntrospection(service, renewed.access_token);
await client.tokenRevocation(config, renewed.refresh_token);
const dead = await client.tokenIntrospection(service, renewed.access_token);

let replayed = "accepted";
try {
  await client.authorizationCodeGrant(config, answer, checks);
} catch (error) {
  replayed = error.error;
}
console.log(`RESULT ${JSON.stringify({
  scope: tokens.scope, narrowed: renewed.scope, alone: alone.refresh_token ?? null,
  live: live.active, audience: live.aud, dead: dead.active, replayed,
})}`);
lines.close();
