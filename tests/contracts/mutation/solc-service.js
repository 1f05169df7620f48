// Compiles one standard-JSON input a line and answers with one line of output each, so that the compiler is loaded once.
'use strict';

const solc = require('solc');

require('readline')
  .createInterface({ input: process.stdin })
  .on('line', (line) => process.stdout.write(`${solc.compile(line)}\n`));
