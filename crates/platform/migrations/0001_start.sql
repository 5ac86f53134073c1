-- One text for SQLite and PostgreSQL. Ids are text, times are milliseconds since the Unix epoch, a scope is
-- 'instance' or the id of an organization, an actor or a daemon is '<kind>:<id>'.
-- Composite keys keep every reference inside one organization.

CREATE TABLE instance (
    id TEXT NOT NULL PRIMARY KEY,
    epoch TEXT NOT NULL,
    spool_epoch TEXT NOT NULL,
    key_check BYTEA,
    created BIGINT NOT NULL
);

CREATE TABLE scope_versions (
    scope TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE organizations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL
);

CREATE TABLE projects (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (organization, name),
    UNIQUE (organization, id)
);

CREATE TABLE identities (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    client_id TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    UNIQUE (organization, name),
    UNIQUE (organization, id)
);

CREATE TABLE members (
    organization TEXT NOT NULL,
    project TEXT NOT NULL,
    identity TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, identity),
    FOREIGN KEY (organization, project) REFERENCES projects (organization, id) ON DELETE CASCADE,
    FOREIGN KEY (organization, identity) REFERENCES identities (organization, id) ON DELETE CASCADE
);
CREATE INDEX members_by_identity ON members (organization, identity);

CREATE TABLE client_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    identity TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    created BIGINT NOT NULL,
    FOREIGN KEY (organization, identity) REFERENCES identities (organization, id) ON DELETE CASCADE
);
CREATE INDEX client_secrets_by_identity ON client_secrets (organization, identity);

CREATE TABLE access_tokens (
    hash BYTEA NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- The client secret that it was given for; the token goes when the secret does.
    client_secret TEXT REFERENCES client_secrets (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX access_tokens_by_actor ON access_tokens (actor);
CREATE INDEX access_tokens_by_end ON access_tokens (expires);
CREATE INDEX access_tokens_by_client_secret ON access_tokens (client_secret);

CREATE TABLE relays (
    id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    ssh_port BIGINT NOT NULL,
    tls_port BIGINT NOT NULL,
    enrolled BIGINT,
    last_seen BIGINT,
    created BIGINT NOT NULL,
    UNIQUE (scope, name),
    UNIQUE (scope, host, ssh_port),
    UNIQUE (scope, host, tls_port)
);

CREATE TABLE gateways (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    enrolled BIGINT,
    last_seen BIGINT,
    created BIGINT NOT NULL,
    UNIQUE (organization, name),
    UNIQUE (organization, id)
);

CREATE TABLE gateway_relays (
    organization TEXT NOT NULL,
    gateway TEXT NOT NULL,
    relay TEXT NOT NULL REFERENCES relays (id),
    position BIGINT NOT NULL,
    PRIMARY KEY (gateway, relay),
    UNIQUE (gateway, position),
    FOREIGN KEY (organization, gateway) REFERENCES gateways (organization, id) ON DELETE CASCADE
);
CREATE INDEX gateway_relays_by_relay ON gateway_relays (relay);

CREATE TABLE gateway_projects (
    organization TEXT NOT NULL,
    gateway TEXT NOT NULL,
    project TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (gateway, project),
    FOREIGN KEY (organization, gateway) REFERENCES gateways (organization, id) ON DELETE CASCADE,
    FOREIGN KEY (organization, project) REFERENCES projects (organization, id) ON DELETE CASCADE
);
CREATE INDEX gateway_projects_by_project ON gateway_projects (organization, project);

CREATE TABLE resources (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    project TEXT NOT NULL,
    gateway TEXT NOT NULL,
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    protocol TEXT NOT NULL,
    -- A JSON array of networks (CIDR).
    allowed_networks TEXT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (project, name),
    UNIQUE (organization, id),
    FOREIGN KEY (organization, project) REFERENCES projects (organization, id) ON DELETE CASCADE,
    FOREIGN KEY (organization, gateway) REFERENCES gateways (organization, id) ON DELETE CASCADE
);
CREATE INDEX resources_by_gateway ON resources (organization, gateway);

-- A session outlives its gateway, project and resources in the list, so it refers to them by id only.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    actor TEXT NOT NULL,
    project TEXT NOT NULL,
    gateway TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended BIGINT,
    UNIQUE (organization, id)
);
CREATE INDEX sessions_by_gateway ON sessions (organization, gateway, expires);
CREATE INDEX sessions_by_actor ON sessions (organization, actor, expires);

CREATE TABLE session_resources (
    organization TEXT NOT NULL,
    session TEXT NOT NULL,
    resource TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (session, resource),
    FOREIGN KEY (organization, session) REFERENCES sessions (organization, id) ON DELETE CASCADE
);

CREATE TABLE authorities (
    id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    role TEXT NOT NULL,
    kind TEXT NOT NULL,
    phase TEXT NOT NULL,
    parent TEXT REFERENCES authorities (id),
    -- A certificate as PEM, or a public key as one line.
    public TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    not_before BIGINT,
    not_after BIGINT,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX authorities_current ON authorities (scope, role) WHERE phase = 'current';
CREATE INDEX authorities_by_scope ON authorities (scope);

CREATE TABLE data_keys (
    scope TEXT NOT NULL,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (scope, version)
);

CREATE TABLE sealed_keys (
    id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    purpose TEXT NOT NULL,
    key_version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    FOREIGN KEY (scope, key_version) REFERENCES data_keys (scope, version)
);

CREATE TABLE certificates (
    -- The issuer's public key, as a pin.
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,
    -- The issuer's owner.
    scope TEXT NOT NULL,
    -- The holder's organization.
    organization TEXT,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- The certified public key, as a pin.
    key TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (issuer, serial)
);
CREATE INDEX certificates_by_owner ON certificates (owner, not_after);
CREATE INDEX certificates_by_key ON certificates (key);
CREATE INDEX certificates_by_organization ON certificates (organization, not_after);

CREATE TABLE daemon_keys (
    daemon TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    ssh_key TEXT NOT NULL,
    ssh_pin TEXT NOT NULL UNIQUE,
    tls_pin TEXT NOT NULL UNIQUE,
    identity_key TEXT NOT NULL,
    identity_pin TEXT NOT NULL UNIQUE,
    -- The actor that enrolled it, or made the ticket that did.
    enrolled_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT NOT NULL
);

CREATE TABLE statements (
    daemon TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (daemon, jti)
);
CREATE INDEX statements_by_end ON statements (expires);

CREATE TABLE enrollment_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    daemon TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    -- 1 if it may enroll a daemon that is enrolled already.
    again BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    consumed BIGINT
);
CREATE INDEX enrollment_tokens_by_daemon ON enrollment_tokens (daemon);

-- What an enrollment answered, for those whose answer was lost.
CREATE TABLE enrollments (
    -- 'token:<id>', or the actor that enrolled and what it asked for.
    credential TEXT NOT NULL,
    -- SHA-256 over the public keys of the request.
    fingerprint BYTEA NOT NULL,
    scope TEXT NOT NULL,
    daemon TEXT NOT NULL,
    created BIGINT NOT NULL,
    answer TEXT,
    PRIMARY KEY (credential, fingerprint)
);
CREATE INDEX enrollments_by_daemon ON enrollments (daemon);

CREATE TABLE revocations (
    scope TEXT NOT NULL,
    kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,
    key TEXT NOT NULL,
    -- After this nothing that it covers can be valid.
    until BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (scope, kind, issuer, serial, key)
);
CREATE INDEX revocations_by_key ON revocations (key);

CREATE TABLE audit_records (
    reporter TEXT NOT NULL,
    epoch TEXT NOT NULL,
    number BIGINT NOT NULL,
    organization TEXT,
    time BIGINT NOT NULL,
    -- The record in its final form, JSON.
    record TEXT NOT NULL,
    PRIMARY KEY (reporter, epoch, number)
);
CREATE INDEX audit_records_by_organization ON audit_records (organization, time);
