"""The statements of a decision in PostgreSQL's SQL."""

from core.locks import DECISIONS
from decisions.stores.statements import Statement
from tokens.chains import rows

TOKEN_ROWS = """
    FROM tokens_accesstoken AS token
    JOIN tokens_tokenfamily AS family ON family.id = token.family_id
    JOIN agents_agent AS agent ON agent.id = token.application_id
    LEFT JOIN accounts_user AS person ON person.id = token.user_id
    LEFT JOIN consent_consent AS consent ON consent.id = family.consent_id
    LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
"""
CALLER_ROWS = """
    FROM resources_resourceserversecret AS secret
    JOIN resources_resourceserver AS server ON server.id = secret.resource_server_id
    JOIN developers_organization AS organization ON organization.id = server.organization_id
"""

SQL: dict[Statement, str] = {
    Statement.HOLD: f"SELECT pg_advisory_xact_lock_shared({DECISIONS})",
    Statement.TOKENS: f"""
        SELECT token.id, token.expires, token.scope, token.resource::text, token.resource_owners::text,
            family.revoked_at IS NOT NULL, family.removed_scopes::text,
            token.user_id, person.is_active,
            family.consent_id, consent.status, consent.expires_at, consent.granted_scopes::text, consent.terms::text,
            consent.paused_at IS NOT NULL OR person.agents_paused_at IS NOT NULL,
            agent.id, agent.client_id, agent.status, agent.stopped_at IS NOT NULL,
            agent.registration_source <> 'manual', agent.allowed_scopes::text,
            organization.id, organization.suspended_at IS NOT NULL,
            organization.stopped_at IS NOT NULL OR organization.deletes_at IS NOT NULL, organization.policy_version,
            EXISTS (SELECT 1 FROM agents_emergencystop)
        {TOKEN_ROWS} WHERE token.id = ANY($1)
    """,  # noqa: S608
    Statement.DELEGATIONS: rows(text="::text", time="") + " WHERE handed.id = ANY($1)",
    Statement.CALLERS: f"""
        SELECT secret.digest, secret.expires_at, server.id, server.identifier,
            organization.id, organization.suspended_at IS NOT NULL OR organization.deletes_at IS NOT NULL,
            organization.policy_version
        {CALLER_ROWS} WHERE secret.digest = ANY($1)
    """,
    Statement.VERSIONS: f"""
        SELECT token.id, token.xmin, family.xmin, agent.xmin, organization.xmin, person.xmin, consent.xmin,
            EXISTS (SELECT 1 FROM agents_emergencystop)
        {TOKEN_ROWS} WHERE token.id = ANY($1)
        UNION ALL
        SELECT secret.digest, secret.xmin, server.xmin, NULL, organization.xmin, NULL, NULL, false
        {CALLER_ROWS} WHERE secret.digest = ANY($2)
    """,  # noqa: S608
    Statement.SERVICES: """
        SELECT server.id, server.identifier,
            organization.id, organization.suspended_at IS NOT NULL OR organization.deletes_at IS NOT NULL,
            organization.policy_version
        FROM resources_resourceserver AS server
        JOIN developers_organization AS organization ON organization.id = server.organization_id
        WHERE server.identifier = ANY($1)
    """,
    Statement.AGENTS: "SELECT client_id, id, organization_id FROM agents_agent WHERE client_id = ANY($1)",
    Statement.POLICIES: """
        WITH organization AS (SELECT id, policy_version FROM developers_organization WHERE id = ANY($1))
        SELECT organization.id, organization.policy_version,
            coalesce((
                SELECT json_agg(
                    json_build_array(scope.id, scope.risk_level, scope.covers, scope.excludes, scope.retired)
                )
                FROM resources_customscope AS scope WHERE scope.organization_id = organization.id
            ), '[]')::text,
            NULL, NULL, NULL, NULL, NULL, NULL
        FROM organization
        UNION ALL
        SELECT organization.id, organization.policy_version, NULL,
            policy.id, policy.name, policy.agent_id, policy.mode, policy.rules::text, policy.limit_history::text
        FROM organization
        JOIN policies_policy AS policy ON policy.organization_id = organization.id AND policy.enabled
        ORDER BY 1, 4 NULLS FIRST
    """,
    Statement.SCOPES: """
        SELECT id, labels::text, risk_level, organization_id FROM resources_customscope WHERE id = ANY($1)
    """,
    Statement.APPROVALS: """
        SELECT id, digest, target_digest, status, is_standing, expires_at,
            CASE WHEN is_standing THEN context::text ELSE '{}' END, asked_scopes::text, asked_by_rule,
            evidence::text
        FROM approvals_approval
        WHERE status IN ('pending', 'approved', 'denied')
            AND (digest = ANY($1) OR (is_standing AND target_digest = ANY($2)))
    """,
    Statement.USE_APPROVALS: "UPDATE approvals_approval SET status = 'used', used_at = $1 WHERE id = ANY($2)",
    Statement.CREATE_APPROVALS: """
        INSERT INTO approvals_approval (
            id, consent_id, user_id, agent_id, server_id, organization_id, service_organization_id, digest,
            target_digest, is_critical, is_held, asked_scopes, asked_by_rule, scopes, action, resource, context,
            created_at, expires_at, named_server_id, audience, chain,
            status, is_standing
        )
        SELECT
            id, consent_id, user_id, agent_id, server_id, organization_id, service_organization_id, digest,
            target_digest, is_critical, is_held, asked_scopes, asked_by_rule, scopes, action, resource, context,
            (created_at || '+00')::timestamptz, (expires_at || '+00')::timestamptz, named_server_id, audience, chain,
            'pending', false
        FROM jsonb_to_recordset($1::jsonb) AS new(
            id text, consent_id text, user_id text, agent_id text, server_id text, organization_id text,
            service_organization_id text, digest text, target_digest text, is_critical boolean, is_held boolean,
            asked_scopes jsonb, asked_by_rule text, scopes jsonb, action text, resource text, context jsonb,
            created_at text, expires_at text, named_server_id text, audience jsonb,
            chain jsonb
        )
    """,
    Statement.LOCK_REPEATS: "SELECT pg_advisory_xact_lock(number) FROM unnest($1) AS number",
    Statement.RESERVED: """
        SELECT repeat_key, repeat_place, repeat_digest, id, status, audit_id, created_at, expires_at
        FROM limits_reservation WHERE repeat_key = ANY($1)
    """,
    Statement.COUNTERS: "SELECT key, slot, counts FROM limits_counter WHERE key = ANY($1) ORDER BY key FOR UPDATE",
    Statement.CREATE_COUNTERS: """
        INSERT INTO limits_counter (key, slot, counts, expires_at)
        SELECT wanted.key, 0, ''::bytea, $1 FROM unnest($2) WITH ORDINALITY AS wanted(key, place)
        ORDER BY place ON CONFLICT (key) DO NOTHING
    """,
    Statement.SAVE_COUNTERS: """
        UPDATE limits_counter SET slot = new.slot, counts = new.counts, expires_at = new.expires_at
        FROM unnest($1, $2, $3, $4) AS new(key, slot, counts, expires_at)
        WHERE limits_counter.key = new.key
    """,
    Statement.WRITE_RESERVATIONS: """
        INSERT INTO limits_reservation (
            id, server_id, audit_id, organization_id, service_organization_id, agent_id, user_id, consent_id, amount,
            currency, holds, repeat_key, repeat_place, repeat_digest, created_at, expires_at,
            status, final_amount
        )
        SELECT
            id, server_id, audit_id, organization_id, service_organization_id, agent_id, user_id, consent_id, amount,
            currency, holds, repeat_key, repeat_place, repeat_digest,
            (created_at || '+00')::timestamptz, (expires_at || '+00')::timestamptz,
            'held', ''
        FROM jsonb_to_recordset($1::jsonb) AS new(
            id text, server_id text, audit_id text, organization_id text, service_organization_id text, agent_id text,
            user_id text, consent_id text, amount text, currency text, holds jsonb, repeat_key text,
            repeat_place smallint, repeat_digest text, created_at text, expires_at text
        )
    """,
    Statement.WRITE_JOURNAL: "INSERT INTO audit_journal (body) VALUES ($1)",
    Statement.PING: "SELECT 1 FROM tokens_accesstoken LIMIT 1",
}
