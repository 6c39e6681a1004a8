"""What each role may do."""

import pytest

from meters.models import Customer
from portal.models import Membership
from portal.roles import Role
from tests.portal.conftest import SignIn


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "allowed"),
        [
            (Role.OWNER, {Role.OWNER, Role.BILLING, Role.READ_ONLY}),
            (Role.BILLING, {Role.BILLING, Role.READ_ONLY}),
            (Role.READ_ONLY, {Role.READ_ONLY}),
        ],
    )
    def test_a_role_may_do_what_those_below_it_may(self, role: Role, allowed: set[Role]) -> None:
        assert {needed for needed in Role if role.may(needed)} == allowed

    @pytest.mark.parametrize(("role", "status"), [(Role.OWNER, 200), (Role.BILLING, 200), (Role.READ_ONLY, 403)])
    def test_alerts_are_made_by_billing(self, acme: Customer, sign_in: SignIn, role: Role, status: int) -> None:
        client = sign_in("dora", acme)
        Membership.objects.update(role=role)
        answer = client.get("/alerts/add/")
        assert answer.status_code == status
        assert ("needs the role “Billing”" in answer.content.decode()) == (status == 403)

    def test_read_only_sees_alerts_without_what_changes_them(self, acme: Customer, sign_in: SignIn) -> None:
        client = sign_in("dora", acme)
        Membership.objects.update(role=Role.READ_ONLY)
        page = client.get("/alerts/")
        assert page.status_code == 200
        assert "/alerts/add/" not in page.content.decode()
