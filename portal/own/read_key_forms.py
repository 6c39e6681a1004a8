"""The forms of a customer's own API keys."""

from datetime import datetime, timedelta

from django import forms

from portal.own.read_keys import LONGEST_NAME

DAY = timedelta(days=1)
LIVES = {
    "30": ("In 30 days", 30 * DAY),
    "90": ("In 90 days", 90 * DAY),
    "365": ("In a year", 365 * DAY),
    "": ("Never", None),
}
OVERLAPS = {
    "0": ("No longer: it ends now", timedelta(0)),
    "1": ("An hour more", timedelta(hours=1)),
    "24": ("24 hours more", timedelta(hours=24)),
    "168": ("7 days more", 7 * DAY),
}


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=LONGEST_NAME,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Where you use it, such as “Finance sheet”.",
    )
    life = forms.ChoiceField(
        label="Expires", choices=[(key, words) for key, (words, _) in LIVES.items()], required=False, initial="90"
    )

    def expires_at(self, now: datetime) -> datetime | None:
        life = LIVES[self.cleaned_data["life"]][1]
        return None if life is None else now + life


class RotateForm(forms.Form):
    overlap = forms.ChoiceField(
        label="The old key works",
        choices=[(key, words) for key, (words, _) in OVERLAPS.items()],
        initial="24",
        widget=forms.RadioSelect,
        help_text="So that you can put the new one everywhere before the old one ends.",
    )

    def time(self) -> timedelta:
        return OVERLAPS[self.cleaned_data["overlap"]][1]
