-- Organizations are customers: each stands at an account, which the calls service keeps; there is no reference over schemas.
CREATE TABLE identity.organizations (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name       text NOT NULL,
  -- its people see this account and all below it; an account has at most one organization
  i_account  bigint NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE identity.memberships (
  organization_id uuid NOT NULL REFERENCES identity.organizations ON DELETE CASCADE,
  user_id         uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
  role            text NOT NULL CHECK (role IN ('owner', 'billing', 'technician', 'reader')),
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX memberships_user ON identity.memberships (user_id);

-- Invitations by e-mail. The code itself is shown once; the hash finds it.
CREATE TABLE identity.invitations (
  id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  hash            bytea NOT NULL UNIQUE,
  email           text NOT NULL CHECK (email = lower(email)),
  -- null: to the provider's own people
  organization_id uuid REFERENCES identity.organizations ON DELETE CASCADE,
  role            text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz NOT NULL,
  accepted_at     timestamptz,
  CHECK (CASE WHEN organization_id IS NULL THEN role IN ('operator', 'support')
              ELSE role IN ('owner', 'billing', 'technician', 'reader') END)
);
-- of open invitations of a person to one place there is one
CREATE UNIQUE INDEX invitations_open ON identity.invitations (email, organization_id) NULLS NOT DISTINCT WHERE accepted_at IS NULL;
