// The TypeScript SDK's client: calls tools of server-everything, and prints a JSON line of what came back.
// Arguments: the URL of the server, what its tools' names begin with, and a bearer token.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [url, prefix, token] = process.argv.slice(2);
const capabilities = { sampling: {}, elicitation: { form: {}, url: {} } };
const client = new Client({ name: "tests", version: "1" }, { capabilities });
client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { name: "Ada", integer: 7 } }));
client.setRequestHandler(CreateMessageRequestSchema, (request) => ({
  role: "assistant", model: "none", content: { type: "text", text: request.params.messages[0].content.text },
}));
const headers = token ? { Authorization: `Bearer ${token}` } : {};
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

const result = {};
const call = async (name, args, options) => {
  try {
    result[name] = (await client.callTool({ name: prefix + name, arguments: args }, undefined, options)).content;
  } catch (error) {
    result[name] = [error.code, error.data?.elicitations?.[0]?.url];
  }
};
await call("echo", { message: "x".repeat(1_000_000) });
await call("get-tiny-image", {});
await call("get-sum", { a: "no number" });
await call("get-structured-content", { location: "Chicago" });
await call("trigger-elicitation-request", {});
await call("trigger-sampling-request", { prompt: "hello" });
await call("trigger-url-elicitation", { url: "https://example.com/", errorPath: true });
const progress = [];
const onprogress = ({ progress: done, total }) => progress.push([done, total]);
await call("trigger-long-running-operation", { duration: 0.4, steps: 4 }, { onprogress });
result.progress = progress;
const cancelled = new AbortController();
setTimeout(() => cancelled.abort("enough"), 100);
await call("trigger-long-running-operation", { duration: 9, steps: 1 }, { signal: cancelled.signal });
const uri = "demo://resource/static/document/features.md";
result.resource = (await client.readResource({ uri })).contents;
result.prompt = (await client.getPrompt({ name: "args-prompt", arguments: { city: "Paris" } })).messages;
await client.close();
console.log(`RESULT ${JSON.stringify(result)}`);
