// Starts `dartsc --lsp`. Without vscode-languageclient there are colours alone.

const vscode = require("vscode");

let client;

exports.activate = function () {
  let node;
  try {
    node = require("vscode-languageclient/node");
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    return undefined;
  }
  const command = vscode.workspace.getConfiguration("darts").get("command");
  const server = { command, args: ["--lsp"], transport: node.TransportKind.stdio };
  client = new node.LanguageClient("darts", "darts", server, {
    documentSelector: [{ language: "darts" }],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.darts") },
  });
  return client.start();
};

exports.deactivate = function () {
  return client === undefined ? undefined : client.stop();
};
