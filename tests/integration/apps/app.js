// An application as Express with `trust proxy` for one hop has it: what it believes of each request, as JSON.
'use strict';
const http = require('http');

function last(value) {
  return value === undefined ? undefined : value.split(',').pop().trim();
}

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const headers = request.headers;
    const believes = {
      scheme: last(headers['x-forwarded-proto']) || 'http',
      host: last(headers['x-forwarded-host']) || headers.host,
      port: last(headers['x-forwarded-port']),
      client: last(headers['x-forwarded-for']) || request.socket.remoteAddress,
      prefix: headers['x-forwarded-prefix'] || '',
      user: headers['x-user'] || '',
      target: request.url,
      method: request.method,
      body: Buffer.concat(pieces).toString('latin1'),
    };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(believes));
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
