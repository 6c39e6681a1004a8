from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Has the members of a customer get its mails, the links in mails to people be made as these go out, sessions know
    where they were begun, and guests be no guests any more once somebody signs in or out."""

    name = "portal"

    def ready(self) -> None:
        from invoices.mailing.private_links import add_maker
        from invoices.mailing.recipients import add_source
        from invoices.models import PersonalMail
        from meters.audit_log.tables import watch
        from portal import audited
        from portal.guests import receivers
        from portal.people import browser_sessions, invitations, mailed_links
        from portal.people.members import member_addresses

        watch(audited.WATCHED, audited.NOT_WATCHED)
        add_source(member_addresses)
        add_maker(PersonalMail.SIGN_IN, mailed_links.sign_in_url)
        add_maker(PersonalMail.RESET, mailed_links.reset_url)
        add_maker(PersonalMail.INVITATION, invitations.invitation_url)
        browser_sessions.connect()
        receivers.connect()
