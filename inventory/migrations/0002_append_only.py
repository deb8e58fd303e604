from typing import Final

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_POSTGRESQL: Final = """
CREATE FUNCTION inventory_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'audit entries are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON inventory_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION inventory_append_only();
"""
_SQLITE: Final = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON inventory_auditentry
       BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON inventory_auditentry
       BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
)


def guard(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in (_POSTGRESQL,) if editor.connection.vendor == "postgresql" else _SQLITE:
        editor.execute(statement, params=None)


def unguard(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP FUNCTION inventory_append_only() CASCADE", params=None)
    else:
        for name in ("audit_no_update", "audit_no_delete"):
            editor.execute(f"DROP TRIGGER {name}", params=None)


class Migration(migrations.Migration):
    dependencies = [("inventory", "0001_tables")]
    operations = [migrations.RunPython(guard, unguard)]
