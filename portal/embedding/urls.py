"""Addresses of pages for frames. No slash at the end: the vendor's program puts them together."""

from django.urls import path

from portal.views import embeds

urlpatterns = [
    path("usage", embeds.usage, name="embed-usage"),
    path("charges", embeds.charges, name="embed-charges"),
    path("invoices", embeds.invoices, name="embed-invoices"),
    path("invoices/<int:pk>.pdf", embeds.invoice_as_pdf, name="embed-invoice-pdf"),
    path("plans", embeds.plans, name="embed-plans"),
    path("accent.css", embeds.accent, name="embed-accent"),
]
