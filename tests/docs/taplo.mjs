// Asks Taplo's language server, the one inside editors: node taplo.mjs MODULES FILE METHOD:LINE:CHARACTER …
// One JSON array on stdout, an answer for each question.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { isAbsolute, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [modules, file, ...questions] = process.argv.slice(2);
const { TaploLsp } = createRequire(join(modules, "here.js"))("@taplo/lsp");
const uri = pathToFileURL(file).href;
const folder = pathToFileURL(process.cwd()).href;
const schema = { enabled: true, associations: {}, catalogs: [], links: false, cache: { memoryExpiration: 60, diskExpiration: 600 } };
const settings = { schema, completion: { maxKeys: 5 }, syntax: { semanticTokens: false }, taplo: { configFile: { enabled: false } }, formatter: {}, rules: [] };
const refuse = () => { throw new Error("no network"); };
const environment = {
  now: () => new Date(),
  envVar: () => undefined,
  envVars: () => [],
  stdErrAtty: () => false,
  stdin: async () => new Uint8Array(0),
  stdout: async (bytes) => bytes.length,
  stderr: async (bytes) => bytes.length,
  glob: () => [],
  readFile: (path) => readFile(path),
  writeFile: refuse,
  urlToFilePath: (url) => (url.startsWith("file:") ? fileURLToPath(url) : ""),
  isAbsolute,
  cwd: () => process.cwd(),
  findConfigFile: () => undefined,
  fetch: { fetch: refuse, Headers, Request, Response },
};

const waiting = new Map();
let sent = 0;
let associated;
const known = new Promise((done) => { associated = done; });
const server = await TaploLsp.initialize(environment, {
  onMessage(message) {
    if (message.method === "workspace/configuration") {
      server.send({ jsonrpc: "2.0", id: message.id, result: message.params.items.map(() => settings) });
    } else if (message.method === "taplo/didChangeSchemaAssociation") {
      associated(message.params.schemaUri);
    } else if (waiting.has(message.id)) {
      waiting.get(message.id)(message.error ?? message.result);
    }
  },
});
const tell = (method, params) => server.send({ jsonrpc: "2.0", method, params });
const ask = (method, params) => new Promise((done) => {
  waiting.set(++sent, done);
  server.send({ jsonrpc: "2.0", id: sent, method, params });
});

const capabilities = { workspace: { configuration: true } };
await ask("initialize", { processId: null, rootUri: folder, workspaceFolders: [{ uri: folder, name: "here" }], capabilities });
tell("initialized", {});
tell("textDocument/didOpen", { textDocument: { uri, languageId: "toml", version: 1, text: readFileSync(file, "utf8") } });
const answers = [await known];
for (const question of questions) {
  const [method, line, character] = question.split(":");
  answers.push(await ask(`textDocument/${method}`, { textDocument: { uri }, position: { line: +line, character: +character } }));
}
process.stdout.write(JSON.stringify(answers));
process.exit(0);
