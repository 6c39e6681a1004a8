from django.contrib.auth.views import LogoutView
from django.urls import path

from portal.views import invoices, overview, session, statements, usage

app_name = "portal"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("usage/", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage-csv"),
    path("invoices/", invoices.invoice_list, name="invoices"),
    path("invoices/<int:pk>/", invoices.invoice_detail, name="invoice"),
    path("statement/", statements.statement, name="statement"),
    path("statement.csv", statements.statement_csv, name="statement-csv"),
    path("statement.pdf", statements.statement_pdf, name="statement-pdf"),
    path("sign-in/", session.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("switch-customer/", session.switch_customer, name="switch-customer"),
]
