"""The groups of staff: made and kept by the table of roles, and who owns the installation."""

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission, User
from django.db import transaction

from meters.staff_roles import StaffRole, permissions_of


@transaction.atomic
def sync_groups() -> None:
    """Makes a group for each role and gives it what the table says: no less, and no more."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission.pk
        for permission in Permission.objects.select_related("content_type").order_by("pk")
    }
    for role in StaffRole:
        group, _ = Group.objects.get_or_create(name=role.value)
        names = known if role == StaffRole.OWNER else permissions_of(role)
        # One that is not there yet belongs to a migration that is still to come.
        group.permissions.set([known[name] for name in names if name in known])


def after_migrate(sender: AppConfig, plan: Any = None, **options: Any) -> None:
    """Django makes the permissions of one app after the other; with those of the last all are there. Not after a
    flush, which has no plan."""
    with_models = [config for config in apps.get_app_configs() if config.models_module is not None]
    if plan is None or sender != with_models[-1]:
        return
    try:
        options["apps"].get_model("auth", "Permission")
    except LookupError:
        return
    create_permissions(sender, verbosity=0, apps=options["apps"], using=options["using"])
    sync_groups()


def is_owner(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the person may do everything, and so decide who else may do what."""
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return False
    return user.is_superuser or user.groups.filter(name=StaffRole.OWNER).exists()


def roles_within(user: AbstractBaseUser | AnonymousUser) -> list[StaffRole]:
    """The roles that can do no more than the person can."""
    if not isinstance(user, User) or not user.is_active:
        return []
    if is_owner(user):
        return list(StaffRole)
    own = user.get_all_permissions()
    return [role for role in StaffRole if role != StaffRole.OWNER and permissions_of(role) <= own]
