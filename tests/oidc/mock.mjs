// A permissive provider (npm oauth2-mock-server) for the tests: what the form field `claims` says replaces a token's claims, and
// null removes one. Prints its URL, and `ok` after each line of JSON on stdin: {"alg": A} signs with a new key from now on,
// {"introspection": {"statusCode": S, "body": B}} is what it answers from now on. It ends when stdin does.
import { createInterface } from 'node:readline'
import { OAuth2Server } from 'oauth2-mock-server'

const server = new OAuth2Server()
const { keys } = server.issuer
const anyKey = keys.get.bind(keys)
let { kid } = await keys.generate('RS256')
keys.get = () => anyKey(kid)
let introspection = {}

server.service.on('beforeTokenSigning', ({ payload }, request) => {
  Object.assign(payload, JSON.parse(request.body.claims ?? '{}'))
  for (const name of Object.keys(payload)) if (payload[name] === null) delete payload[name]
})
server.service.on('beforeIntrospect', (answer) => Object.assign(answer, introspection))

await server.start(0, '127.0.0.1')
console.log(server.issuer.url)
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  if (order.alg) kid = (await keys.generate(order.alg)).kid
  introspection = order.introspection ?? introspection
  console.log('ok')
}
process.exit()
