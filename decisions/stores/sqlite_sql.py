"""The statements of a decision in SQLite's SQL.

Times are concatenated with nothing, so that Django's connections return them as text, like all other connections.
"""

from decisions.stores.statements import Statement
from tokens.chains import rows

SQL: dict[Statement, str] = {
    # The transaction is IMMEDIATE, so there is no other writer.
    Statement.HOLD: "",
    Statement.TOKENS: """
        SELECT token.id, token.expires || '', token.scope, token.resource, token.resource_owners,
            family.revoked_at IS NOT NULL, family.removed_scopes,
            token.user_id, person.is_active,
            family.consent_id, consent.status, consent.expires_at || '', consent.granted_scopes, consent.terms,
            consent.paused_at IS NOT NULL OR person.agents_paused_at IS NOT NULL,
            agent.id, agent.client_id, agent.status, agent.stopped_at IS NOT NULL,
            agent.registration_source <> 'manual', agent.allowed_scopes,
            organization.id, organization.suspended_at IS NOT NULL,
            organization.stopped_at IS NOT NULL OR organization.deletes_at IS NOT NULL, organization.policy_version,
            EXISTS (SELECT 1 FROM agents_emergencystop)
        FROM json_each(?) AS wanted
        JOIN tokens_accesstoken AS token ON token.id = wanted.value
        JOIN tokens_tokenfamily AS family ON family.id = token.family_id
        JOIN agents_agent AS agent ON agent.id = token.application_id
        LEFT JOIN accounts_user AS person ON person.id = token.user_id
        LEFT JOIN consent_consent AS consent ON consent.id = family.consent_id
        LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
    """,
    Statement.DELEGATIONS: rows(text="", time=" || ''") + " WHERE handed.id IN (SELECT value FROM json_each(?))",  # noqa: S608
    # Its pages are in this process's memory, so facts cost no more than versions.
    Statement.VERSIONS: "",
    Statement.CALLERS: """
        SELECT secret.digest, secret.expires_at || '', server.id, server.identifier,
            organization.id, organization.suspended_at IS NOT NULL OR organization.deletes_at IS NOT NULL,
            organization.policy_version
        FROM json_each(?) AS wanted
        JOIN resources_resourceserversecret AS secret ON secret.digest = wanted.value
        JOIN resources_resourceserver AS server ON server.id = secret.resource_server_id
        JOIN developers_organization AS organization ON organization.id = server.organization_id
    """,
    Statement.SERVICES: """
        SELECT server.id, server.identifier,
            organization.id, organization.suspended_at IS NOT NULL OR organization.deletes_at IS NOT NULL,
            organization.policy_version
        FROM json_each(?) AS wanted
        JOIN resources_resourceserver AS server ON server.identifier = wanted.value
        JOIN developers_organization AS organization ON organization.id = server.organization_id
    """,
    Statement.AGENTS: """
        SELECT agent.client_id, agent.id, agent.organization_id
        FROM json_each(?) AS wanted JOIN agents_agent AS agent ON agent.client_id = wanted.value
    """,
    Statement.POLICIES: """
        WITH organization AS (
            SELECT id, policy_version FROM developers_organization WHERE id IN (SELECT value FROM json_each(?))
        )
        SELECT id, policy_version,
            (
                SELECT json_group_array(
                    json_array(
                        scope.id, scope.risk_level, json(scope.covers), json(scope.excludes), json(scope.retired)
                    )
                ) FROM resources_customscope AS scope WHERE scope.organization_id = organization.id
            ),
            NULL, NULL, NULL, NULL, NULL, NULL
        FROM organization
        UNION ALL
        SELECT organization.id, organization.policy_version, NULL,
            policy.id, policy.name, policy.agent_id, policy.mode, policy.rules, policy.limit_history
        FROM organization
        JOIN policies_policy AS policy ON policy.organization_id = organization.id AND policy.enabled
        ORDER BY 1, 4 NULLS FIRST
    """,
    Statement.SCOPES: """
        SELECT scope.id, scope.labels, scope.risk_level, scope.organization_id
        FROM json_each(?) AS wanted JOIN resources_customscope AS scope ON scope.id = wanted.value
    """,
    Statement.APPROVALS: """
        SELECT id, digest, target_digest, status, is_standing, expires_at || '',
            CASE WHEN is_standing THEN context ELSE '{}' END, asked_scopes, asked_by_rule, evidence
        FROM approvals_approval
        WHERE status IN ('pending', 'approved', 'denied')
            AND (digest IN (SELECT value FROM json_each(?))
                OR (is_standing AND target_digest IN (SELECT value FROM json_each(?))))
    """,
    Statement.USE_APPROVALS: """
        UPDATE approvals_approval SET status = 'used', used_at = ? WHERE id IN (SELECT value FROM json_each(?))
    """,
    Statement.CREATE_APPROVALS: """
        INSERT INTO approvals_approval (
            id, consent_id, user_id, agent_id, server_id, organization_id, service_organization_id, digest,
            target_digest, is_critical, is_held, asked_scopes, asked_by_rule, scopes, action, resource, context,
            created_at, expires_at, named_server_id, audience, chain,
            status, is_standing
        )
        SELECT
            json_extract(value, '$.id'), json_extract(value, '$.consent_id'), json_extract(value, '$.user_id'),
            json_extract(value, '$.agent_id'), json_extract(value, '$.server_id'),
            json_extract(value, '$.organization_id'), json_extract(value, '$.service_organization_id'),
            json_extract(value, '$.digest'), json_extract(value, '$.target_digest'),
            json_extract(value, '$.is_critical'), json_extract(value, '$.is_held'),
            json_extract(value, '$.asked_scopes'), json_extract(value, '$.asked_by_rule'),
            json_extract(value, '$.scopes'), json_extract(value, '$.action'), json_extract(value, '$.resource'),
            json_extract(value, '$.context'), json_extract(value, '$.created_at'),
            json_extract(value, '$.expires_at'), json_extract(value, '$.named_server_id'),
            json_extract(value, '$.audience'), json_extract(value, '$.chain'),
            'pending', 0
        FROM json_each(?)
    """,
    # Like HOLD.
    Statement.LOCK_REPEATS: "",
    Statement.RESERVED: """
        SELECT reservation.repeat_key, reservation.repeat_place, reservation.repeat_digest, reservation.id,
            reservation.status, reservation.audit_id, reservation.created_at || '', reservation.expires_at || ''
        FROM json_each(?) AS wanted JOIN limits_reservation AS reservation ON reservation.repeat_key = wanted.value
    """,
    Statement.COUNTERS: """
        SELECT counter.key, counter.slot, counter.counts
        FROM json_each(?) AS wanted JOIN limits_counter AS counter ON counter.key = wanted.value
    """,
    # Not needed: without other writers, a missing counter is an empty one, and saving creates it.
    Statement.CREATE_COUNTERS: "",
    Statement.SAVE_COUNTERS: """
        INSERT INTO limits_counter (key, slot, counts, expires_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET slot = excluded.slot, counts = excluded.counts, expires_at = excluded.expires_at
    """,
    Statement.WRITE_RESERVATIONS: """
        INSERT INTO limits_reservation (
            id, server_id, audit_id, organization_id, service_organization_id, agent_id, user_id, consent_id, amount,
            currency, holds, repeat_key, repeat_place, repeat_digest, created_at, expires_at,
            status, final_amount
        )
        SELECT
            json_extract(value, '$.id'), json_extract(value, '$.server_id'), json_extract(value, '$.audit_id'),
            json_extract(value, '$.organization_id'), json_extract(value, '$.service_organization_id'),
            json_extract(value, '$.agent_id'), json_extract(value, '$.user_id'), json_extract(value, '$.consent_id'),
            json_extract(value, '$.amount'), json_extract(value, '$.currency'), json_extract(value, '$.holds'),
            json_extract(value, '$.repeat_key'), json_extract(value, '$.repeat_place'),
            json_extract(value, '$.repeat_digest'),
            json_extract(value, '$.created_at'), json_extract(value, '$.expires_at'),
            'held', ''
        FROM json_each(?)
    """,
    Statement.WRITE_JOURNAL: "INSERT INTO audit_journal (body) VALUES (?)",
    Statement.PING: "SELECT 1 FROM tokens_accesstoken LIMIT 1",
}
