// A stock node oidc-provider whose introspection is measured. Its tokens live in Redis.
import cluster from 'node:cluster';
import Provider from 'oidc-provider';
import { Redis } from 'ioredis';

const { API_PORT, CLIENT_ID, CLIENT_SECRET, REDIS_URL, WEB_CONCURRENCY } = process.env;

class RedisAdapter {
  static client = cluster.isPrimary ? undefined : new Redis(REDIS_URL);

  constructor(model) { this.model = model; }
  async upsert(id, payload, expiresIn) {
    await RedisAdapter.client.set(`oidc:${this.model}:${id}`, JSON.stringify(payload), 'EX', expiresIn ?? 86400);
  }
  async find(id) {
    const text = await RedisAdapter.client.get(`oidc:${this.model}:${id}`);
    return text === null ? undefined : JSON.parse(text);
  }
  async destroy(id) { await RedisAdapter.client.del(`oidc:${this.model}:${id}`); }
}

function serve() {
  const provider = new Provider(`http://127.0.0.1:${API_PORT}`, {
    adapter: RedisAdapter,
    clients: [{
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }],
    scopes: ['email'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
    },
    ttl: { ClientCredentials: 86400 },
  });
  provider.listen(Number(API_PORT), '127.0.0.1');
}

if (cluster.isPrimary) {
  for (let number = 0; number < Number(WEB_CONCURRENCY); number += 1) cluster.fork();
} else {
  serve();
}
