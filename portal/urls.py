from django.contrib.auth.views import LogoutView
from django.urls import path

from portal.views import alerts, api_access, invoices, lines, links, overview, papers, session, statements, usage

app_name = "portal"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("usage/", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage-csv"),
    path("invoices/", invoices.invoice_list, name="invoices"),
    path("invoices/<int:pk>/", invoices.invoice_detail, name="invoice"),
    path("invoices/<int:pk>/lines/<int:position>/", lines.invoice_line, name="invoice-line"),
    path("invoices/<int:pk>/lines/<int:position>/events.csv", lines.line_events_csv, name="line-events-csv"),
    path("invoices/<int:pk>.pdf", papers.invoice_as_pdf, name="invoice-pdf"),
    path("invoices/<int:pk>.csv", papers.invoice_as_csv, name="invoice-csv"),
    path("credit-notes/<int:pk>.pdf", papers.credit_note_as_pdf, name="credit-note-pdf"),
    path("statement/", statements.statement, name="statement"),
    path("statement.csv", statements.statement_csv, name="statement-csv"),
    path("statement.pdf", statements.statement_pdf, name="statement-pdf"),
    path("alerts/", alerts.alert_list, name="alerts"),
    path("alerts/add/", alerts.add, name="alert-add"),
    path("alerts/<int:pk>/", alerts.change, name="alert"),
    path("alerts/<int:pk>/switch/", alerts.switch, name="alert-switch"),
    path("alerts/<int:pk>/remove/", alerts.remove, name="alert-remove"),
    path("alerts/<int:pk>/test/", alerts.test_mail, name="alert-test"),
    path("sign-in/", session.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("enter/<str:token>/", links.enter, name="enter"),
    path("leave/", links.leave, name="leave"),
    path("api-access/", api_access.key_list, name="api-access"),
    path("api-access/add/", api_access.add, name="api-access-add"),
    path("api-access/<int:pk>/rotate/", api_access.rotate, name="api-access-rotate"),
    path("api-access/<int:pk>/revoke/", api_access.revoke, name="api-access-revoke"),
    path("switch-customer/", session.switch_customer, name="switch-customer"),
]
