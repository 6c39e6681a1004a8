"""The audit log. Its tables are only added to: what seals a row is the one change that the database lets through.

Neither table is managed by Django, so that emptying the others leaves them as they are. The triggers on the tables that
are watched are made after each `migrate` (meters/audit_log/triggers.py).
"""

from django.db import migrations, models

from meters.audit_log.decoding import ExactDecoder

SQL = """
CREATE TABLE meters_auditrow (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    transaction bigint NOT NULL,
    position bigint,
    action text NOT NULL,
    table_name text NOT NULL,
    object_id text NOT NULL,
    label text NOT NULL,
    owner_table text NOT NULL,
    owner_id text NOT NULL,
    who_kind text NOT NULL,
    who_id text NOT NULL,
    who_name text NOT NULL,
    address inet,
    request_id text NOT NULL,
    hash bytea,
    before jsonb,
    after jsonb,
    CONSTRAINT meters_auditrow_sealed CHECK ((position IS NULL) = (hash IS NULL)),
    CONSTRAINT meters_auditrow_position UNIQUE (position)
);
CREATE INDEX meters_auditrow_to_seal ON meters_auditrow (id) WHERE position IS NULL;
CREATE INDEX meters_auditrow_object ON meters_auditrow (table_name, object_id, id);
CREATE INDEX meters_auditrow_owner ON meters_auditrow (owner_table, owner_id, id);
CREATE INDEX meters_auditrow_at ON meters_auditrow (at, id);
CREATE INDEX meters_auditrow_table ON meters_auditrow (table_name, at, id);
CREATE INDEX meters_auditrow_who ON meters_auditrow (who_name, at, id);
CREATE INDEX meters_auditrow_request ON meters_auditrow (request_id, at, id) WHERE request_id <> '';

CREATE FUNCTION meters_keep_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.position IS NULL THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.position IS NULL AND NEW.position IS NOT NULL
        AND to_jsonb(OLD) - '{position,hash}'::text[] = to_jsonb(NEW) - '{position,hash}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER meters_keep_audit_log BEFORE INSERT OR UPDATE OR DELETE ON meters_auditrow
    FOR EACH ROW EXECUTE FUNCTION meters_keep_audit_log();
CREATE TRIGGER meters_keep_audit_log_whole BEFORE TRUNCATE ON meters_auditrow
    FOR EACH STATEMENT EXECUTE FUNCTION meters_keep_audit_log();

CREATE TABLE meters_audithead (
    id smallint PRIMARY KEY DEFAULT 1 CONSTRAINT meters_audithead_one CHECK (id = 1),
    position bigint NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamptz,
    verified_position bigint NOT NULL,
    verified_hash bytea NOT NULL,
    verified_at timestamptz,
    finding text NOT NULL
);
INSERT INTO meters_audithead (position, hash, verified_position, verified_hash, finding)
VALUES (0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex'), '');
CREATE TRIGGER meters_keep_audit_log_head BEFORE DELETE OR TRUNCATE ON meters_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION meters_keep_audit_log();
"""

# The triggers of the tables that are watched go with their function.
REVERSE_SQL = """
DROP FUNCTION IF EXISTS meters_audit() CASCADE;
DROP TABLE meters_auditrow, meters_audithead;
DROP FUNCTION meters_keep_audit_log();
"""

KINDS = [
    ("staff", "Staff"),
    ("key", "API key"),
    ("person", "Customer's person"),
    ("guest", "Guest by link"),
    ("visitor", "Nobody signed in"),
    ("task", "Worker"),
    ("command", "Command"),
    ("database", "Database user"),
]
ACTIONS = [("insert", "Added"), ("update", "Changed"), ("delete", "Removed"), ("truncate", "Emptied")]


class Migration(migrations.Migration):
    dependencies = [("meters", "0005_roles_of_keys")]

    operations = [
        migrations.RunSQL(SQL, REVERSE_SQL),
        migrations.CreateModel(
            name="AuditRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("transaction", models.BigIntegerField()),
                ("action", models.TextField(choices=ACTIONS)),
                ("table_name", models.TextField()),
                ("object_id", models.TextField()),
                ("label", models.TextField()),
                ("owner_table", models.TextField()),
                ("owner_id", models.TextField()),
                ("before", models.JSONField(decoder=ExactDecoder, null=True)),
                ("after", models.JSONField(decoder=ExactDecoder, null=True)),
                ("who_kind", models.TextField(choices=KINDS)),
                ("who_id", models.TextField()),
                ("who_name", models.TextField()),
                ("address", models.GenericIPAddressField(null=True)),
                ("request_id", models.TextField()),
                ("position", models.BigIntegerField(null=True)),
                ("hash", models.BinaryField(null=True)),
            ],
            options={
                "verbose_name": "change",
                "verbose_name_plural": "audit log",
                "db_table": "meters_auditrow",
                "ordering": ["-id"],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("position", models.BigIntegerField()),
                ("hash", models.BinaryField()),
                ("sealed_at", models.DateTimeField(null=True)),
                ("verified_position", models.BigIntegerField()),
                ("verified_hash", models.BinaryField()),
                ("verified_at", models.DateTimeField(null=True)),
                ("finding", models.TextField()),
            ],
            options={"db_table": "meters_audithead", "managed": False, "default_permissions": ()},
        ),
    ]
