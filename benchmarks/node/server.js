// A stock node oidc-provider whose introspection is measured. Tokens live in memory (one process) or in Redis.
import cluster from 'node:cluster';
import Provider from 'oidc-provider';
import { Redis } from 'ioredis';

const port = Number(process.env.API_PORT);
const workers = Number(process.env.WEB_CONCURRENCY ?? 1);

class MemoryAdapter {
  static rows = new Map();

  constructor(model) { this.model = model; }
  async upsert(id, payload) { MemoryAdapter.rows.set(`${this.model}:${id}`, payload); }
  async find(id) { return MemoryAdapter.rows.get(`${this.model}:${id}`); }
  async destroy(id) { MemoryAdapter.rows.delete(`${this.model}:${id}`); }
}

class RedisAdapter {
  static client = process.env.REDIS_URL ? new Redis(process.env.REDIS_URL) : undefined;

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
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    adapter: RedisAdapter.client ? RedisAdapter : MemoryAdapter,
    clients: [{
      client_id: process.env.CLIENT_ID,
      client_secret: process.env.CLIENT_SECRET,
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
  provider.listen(port, '127.0.0.1');
}

if (workers > 1 && cluster.isPrimary) {
  for (let number = 0; number < workers; number += 1) cluster.fork();
} else {
  serve();
}
