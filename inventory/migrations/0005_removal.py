import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_PIECE = 2_000


def name_policies(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Write down at each device which policies its latest finding is by; let every site be counted anew."""
    device_model, finding_model = (
        apps.get_model("inventory", "Device"),
        apps.get_model("inventory", "Finding"),
    )
    last = 0
    while ids := list(
        device_model.objects.filter(pk__gt=last, finding__in=("flagged", "suspected"))
        .order_by("pk")
        .values_list("pk", flat=True)[:_PIECE]
    ):
        last = ids[-1]
        latest = {}
        for row in finding_model.objects.filter(device_id__in=ids).order_by("since", "pk"):
            latest[row.device_id] = row.matches
        changed = []
        for device in device_model.objects.filter(pk__in=latest):
            names = sorted({str(match.get("policy"))[:100] for match in latest[device.pk]})
            device.policies = f",{','.join(names)},"[:500] if names else ""
            changed.append(device)
        device_model.objects.bulk_update(changed, ["policies"])
    apps.get_model("inventory", "Site").objects.update(stale=True)


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0004_pages"),
    ]

    operations = [
        migrations.AddField(
            model_name="device",
            name="policies",
            field=models.CharField(blank=True, default="", max_length=500),
        ),
        migrations.AddField(
            model_name="site",
            name="stale",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.CreateModel(
            name="Deadline",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("policy", models.CharField(max_length=100)),
                (
                    "sensitivity",
                    models.CharField(
                        choices=[
                            ("ordinary", "Ordinary"),
                            ("sensitive", "Sensitive"),
                            ("critical", "Critical"),
                        ],
                        max_length=20,
                    ),
                ),
                ("due", models.DateField()),
            ],
            options={
                "ordering": ["due", "id"],
                "constraints": [
                    models.UniqueConstraint(fields=("policy", "sensitivity"), name="deadline_reach")
                ],
            },
        ),
        migrations.CreateModel(
            name="CloudCall",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("maker", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=255)),
                ("addresses", models.JSONField(default=list)),
                ("count", models.BigIntegerField(default=0)),
                ("bytes_sent", models.BigIntegerField(null=True)),
                ("bytes_received", models.BigIntegerField(null=True)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="cloud_calls",
                        to="inventory.device",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [models.UniqueConstraint(fields=("device", "name"), name="cloud_call_name")],
            },
        ),
        migrations.CreateModel(
            name="Contact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("protocols", models.JSONField(default=list)),
                ("records", models.BooleanField(default=False)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                (
                    "asked",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="askers",
                        to="inventory.device",
                    ),
                ),
                (
                    "asker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="asked",
                        to="inventory.device",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [models.UniqueConstraint(fields=("asker", "asked"), name="contact_pair")],
            },
        ),
        migrations.CreateModel(
            name="DailyStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("manufacturer", models.CharField(max_length=200)),
                ("day", models.DateField()),
                ("state", models.CharField(max_length=16)),
                ("change", models.IntegerField()),
                (
                    "site",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="inventory.site"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("site", "manufacturer", "day", "state"), name="daily_step"
                    )
                ],
            },
        ),
        migrations.RunPython(name_policies, migrations.RunPython.noop),
    ]
