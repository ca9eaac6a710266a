// The TypeScript SDK's auth() against an MCP server: discovery, registration, code, refresh.
// Prints the authorization URL, reads from stdin where the browser was sent, prints a JSON line of what happened.
import { createInterface } from "node:readline/promises";
import { auth } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [serverUrl, metadataUrl] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin });
const kept = {};
const provider = {
  redirectUrl: "http://127.0.0.1:3118/callback",
  clientMetadataUrl: metadataUrl || undefined,
  clientMetadata: {
    client_name: "TypeScript client",
    redirect_uris: ["http://127.0.0.1:3118/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => "st4te",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  redirectToAuthorization: (url) => { console.log(`URL ${url.href}`); },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
};

const asked = await auth(provider, { serverUrl });
const answer = new URL(await lines.question(""));
const iss = answer.searchParams.get("iss");
const authorized = await auth(provider, { serverUrl, authorizationCode: answer.searchParams.get("code"), iss });
const first = kept.tokens.access_token;
const refreshed = await auth(provider, { serverUrl });

const session = new Client({ name: "tests", version: "1" });
await session.connect(new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider: provider }));
const called = await session.callTool({ name: "list_tickets", arguments: {} });
await session.close();
console.log(`RESULT ${JSON.stringify({
  asked, authorized, refreshed, isNew: kept.tokens.access_token !== first,
  clientId: kept.client.client_id, text: called.content[0].text,
})}`);
lines.close();
