// A certified OpenID provider (npm oidc-provider) for the tests. Prints its URL; "rotate" on stdin makes it publish new keys
// before the old ones and sign with them; it ends when stdin does. Resources: urn:rs and urn:es (JWTs), urn:opaque.
import { createServer } from 'node:http'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Provider, errors } from 'oidc-provider'

const resource = (accessTokenFormat, alg) => ({
  scope: 'orders:read orders:write', audience: 'orders', accessTokenTTL: 300, accessTokenFormat, ...(alg && { jwt: { sign: { alg } } })
})
const RESOURCES = { 'urn:rs': resource('jwt', 'RS256'), 'urn:es': resource('jwt', 'ES256'), 'urn:opaque': resource('opaque') }

const client = (client_id, more) => ({
  client_id, client_secret: `secret of ${client_id}: +/%`, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...more
})
const CLIENTS = [
  client('acme'), client('rocket'), client('gateway'), client('dpop', { dpop_bound_access_tokens: true }),
  client('mtls', { tls_client_certificate_bound_access_tokens: true })
]

const key = (kind, options, alg) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomBytes(6).toString('hex')
})
let published = []

function provider (issuer) {
  published = [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256'), ...published]
  return new Provider(issuer, {
    clients: CLIENTS,
    jwks: { keys: published },
    scopes: ['orders:read', 'orders:write'],
    ttl: { ClientCredentials: 300 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async (ctx, caller) => caller.clientId === 'gateway' },
      // what a proxy that ends TLS would do: the caller's certificate comes in a field
      mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate: (ctx) => decodeURIComponent(ctx.get('x-certificate')) },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, name) => { if (RESOURCES[name]) return RESOURCES[name]; throw new errors.InvalidTarget() }
      },
      revocation: { enabled: true }
    }
  }).callback()
}

let handle
const server = createServer((request, response) => handle(request, response))
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  handle = provider(issuer)
  console.log(issuer)
  createInterface({ input: process.stdin }).on('line', () => {
    handle = provider(issuer)
    console.log('rotated')
  }).on('close', () => process.exit())
})
