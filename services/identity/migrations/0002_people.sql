-- People and their sessions. Better Auth reads and writes users, credentials, sessions, verifications and second_factors, by the
-- names that people/better_auth.ts gives it; its own migrator never runs.

CREATE TABLE identity.users (
  id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name               text NOT NULL,
  email              text NOT NULL UNIQUE CHECK (email = lower(email)),
  email_verified     boolean NOT NULL DEFAULT false,
  image              text,
  -- the provider's own people; null: everybody else
  role               text CHECK (role IN ('operator', 'support')),
  two_factor_enabled boolean NOT NULL DEFAULT false,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now()
);

-- The hash of a password. The columns of tokens belong to sign-in by other identity providers; so far they are empty.
CREATE TABLE identity.credentials (
  id                       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id                  uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
  provider_id              text NOT NULL,
  account_id               text NOT NULL,
  password                 text,
  access_token             text,
  refresh_token            text,
  id_token                 text,
  access_token_expires_at  timestamptz,
  refresh_token_expires_at timestamptz,
  scope                    text,
  created_at               timestamptz NOT NULL DEFAULT now(),
  updated_at               timestamptz NOT NULL DEFAULT now(),
  UNIQUE (provider_id, account_id)
);
CREATE INDEX credentials_user ON identity.credentials (user_id);

CREATE TABLE identity.sessions (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id    uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
  token      text NOT NULL UNIQUE,
  expires_at timestamptz NOT NULL,
  ip_address text,
  user_agent text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_user ON identity.sessions (user_id);
CREATE INDEX sessions_end ON identity.sessions (expires_at);

CREATE TABLE identity.verifications (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  identifier text NOT NULL,
  value      text NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX verifications_identifier ON identity.verifications (identifier);
CREATE INDEX verifications_end ON identity.verifications (expires_at);

-- The secret of an authenticator app, and recovery codes; both encrypted by ENCRYPTION_KEYS.
CREATE TABLE identity.second_factors (
  id                        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id                   uuid NOT NULL UNIQUE REFERENCES identity.users ON DELETE CASCADE,
  secret                    text NOT NULL,
  backup_codes              text NOT NULL,
  verified                  boolean NOT NULL DEFAULT true,
  failed_verification_count integer NOT NULL DEFAULT 0,
  locked_until              timestamptz
);
CREATE INDEX second_factors_secret ON identity.second_factors (secret);

-- Codes of authenticator apps that were used: each is good once. The hash is keyed.
CREATE TABLE identity.used_codes (
  user_id uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
  hash    bytea NOT NULL,
  used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, hash)
);

-- Devices on which a person has signed in before. A device proves nothing but that: its tries to sign in are counted apart.
CREATE TABLE identity.known_devices (
  user_id uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
  hash    bytea NOT NULL,
  used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, hash)
);

-- Tries to sign in that have not succeeded, by what they are counted for: a keyed hash of an account, an address, a device.
CREATE TABLE identity.sign_in_tries (
  bucket        bytea PRIMARY KEY,
  tries         integer NOT NULL,
  last_at       timestamptz NOT NULL,
  -- no further try before
  blocked_until timestamptz NOT NULL
);
CREATE INDEX sign_in_tries_last ON identity.sign_in_tries (last_at);
