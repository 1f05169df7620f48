// Answers as native solc does, through the npm package: what py-solc-x, ape and forge ask of a compiler.
// Usage: solc-shim.js --standard-json [--base-path P] [--include-path P]… [--allow-paths ignored] < input.json
//        solc-shim.js --version
'use strict';

const fs = require('fs');
const path = require('path');

const USAGE = `Usage: solc [options]
  --version
  --standard-json           Compile the JSON on standard input
  --base-path path
  --include-path path       Repeatable
  --allow-paths path(s)     Accepted, no effect
  --combined-json abi,ast   Listed because callers look for it, not offered`;

function readArguments(given) {
  const options = { includePaths: [], basePath: '', mode: 'help' };
  const rest = [...given];
  while (rest.length > 0) {
    const option = rest.shift();
    if (option === '--version' || option === '--help') options.mode = option.slice(2);
    else if (option === '--standard-json') options.mode = 'compile';
    else if (option === '--base-path') options.basePath = rest.shift();
    else if (option === '--include-path') options.includePaths.push(rest.shift());
    else if (option === '--allow-paths') rest.shift();
    else if (option !== '-') {
      process.stderr.write(`unrecognised option '${option}'\n`);
      process.exit(1);
    }
  }
  return options;
}

function loadCompiler() {
  // The package installs a handler that prints uncaught errors its own way and exits 0.
  const before = process.listeners('uncaughtException');
  const compiler = require('solc');
  for (const listener of process.listeners('uncaughtException')) {
    if (!before.includes(listener)) process.removeListener('uncaughtException', listener);
  }
  return compiler;
}

function importer(options) {
  const folders = [options.basePath || process.cwd(), ...options.includePaths];
  return (name) => {
    for (const folder of folders) {
      const file = path.resolve(folder, name);
      if (fs.existsSync(file)) return { contents: fs.readFileSync(file, 'utf8') };
    }
    return { error: `File not found: ${name}` };
  };
}

const options = readArguments(process.argv.slice(2));
if (options.mode === 'help') {
  process.stdout.write(`${USAGE}\n`);
} else if (options.mode === 'version') {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${loadCompiler().version()}\n`);
} else {
  const input = fs.readFileSync(0, 'utf8');
  process.stdout.write(loadCompiler().compile(input, { import: importer(options) }));
}
