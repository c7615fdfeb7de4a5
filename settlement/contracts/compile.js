// Compile the contracts of this folder with npm solc; prints the standard JSON output.
// Run by settlement/rebuild.py, which compares the result with the committed artifacts. Names as
// arguments: code is made for these contracts only.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const list = (folder) => fs.readdirSync(path.join(__dirname, folder)).map((name) => folder + name);
const names = [...list(""), ...list("interfaces/")].filter((name) => name.endsWith(".sol")).sort();
const sources = Object.fromEntries(
  names.map((name) => [name, { content: fs.readFileSync(path.join(__dirname, name), "utf8") }]),
);
const files = process.argv.slice(2).map((name) => name + ".sol");
const outputs = { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode"] };
const settings = {
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 1000 },
  viaIR: false,
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: Object.fromEntries((files.length ? files : ["*"]).map((file) => [file, outputs])),
};
const load = (name) => ({
  contents: fs.readFileSync(require.resolve(name, { paths: [__dirname] }), "utf8"),
});
const input = JSON.stringify({ language: "Solidity", sources, settings });
process.stdout.write(solc.compile(input, { import: load }));
