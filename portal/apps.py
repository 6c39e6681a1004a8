from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Has the members of a customer get its mails, and guests be no guests any more once somebody signs in or out."""

    name = "portal"

    def ready(self) -> None:
        from invoices.mailing.recipients import add_source
        from portal import receivers
        from portal.members import member_addresses

        add_source(member_addresses)
        receivers.connect()
