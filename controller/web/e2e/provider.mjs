// A real OpenID Connect provider (the certified oidc-provider), with people whose groups a test changes. It is called
// localhost, which to a browser is another site than the controller's 127.0.0.1.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

export const CLIENT = { id: 'roadstead', secret: 'a secret: 100% + more' }
const SCOPES = 'openid profile'

const FORM = `<!doctype html><html lang="en"><title>The house</title><form method="post">
<label>Login <input name="login" autofocus></label><button>Go on</button></form></html>`

/** Starts one that sends people back to `redirect`; `people` holds their groups, by login. */
export async function startProvider(redirect, people) {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://localhost:${server.address().port}`
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const provider = new Provider(issuer, {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [redirect] }],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
    cookies: { keys: ['a key of this test'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, login) => ({
      accountId: login,
      claims: () => ({ sub: login, preferred_username: login, groups: people.get(login) ?? [] }),
    }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    jwks: { keys: [{ ...key, use: 'sig', kid: 'first' }] },
    // Nobody is asked whether the controller may know who they are.
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
      grant.addOIDCScope(SCOPES)
      await grant.save()
      return grant
    },
    pkce: { required: () => true },
    scopes: SCOPES.split(' '),
  })
  const answer = provider.callback()
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response)
    interact(provider, request, response).catch((error) => response.writeHead(500).end(String(error)))
  })
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  return { issuer, stop }
}

/** The provider's own sign-in page: whoever says a login is that person. */
async function interact(provider, request, response) {
  await provider.interactionDetails(request, response)
  if (request.method !== 'POST') return response.setHeader('content-type', 'text/html').end(FORM)
  let body = ''
  for await (const bytes of request) body += bytes
  const accountId = new URLSearchParams(body).get('login')
  await provider.interactionFinished(request, response, { login: { accountId } }, { mergeWithLastSubmission: false })
}
