"""The form of a step of removal, the same wherever one is taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from inventory.timeline import Step

__all__ = ["STEPS", "StepForm"]

STEPS: Final = {
    "scheduled": "Schedule its removal",
    "removed": "Say that it was removed",
    "exempt": "Exempt it",
    "found": "Take back what was planned",
}


class StepForm(forms.Form):
    """What a person wants of one or more devices; each state asks for what it needs."""

    state = forms.ChoiceField(label="Step", choices=[("", "Choose a step"), *STEPS.items()])
    due = forms.DateField(
        required=False,
        label="Due on",
        help_text="For a scheduled removal.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    owner = forms.CharField(
        required=False, max_length=200, label="Who takes it down", help_text="A team or a person."
    )
    replacement = forms.CharField(
        required=False,
        max_length=200,
        label="Replacement",
        help_text="What hangs there afterwards, if anything.",
    )
    reason = forms.CharField(
        required=False,
        max_length=2_000,
        label="Reason",
        help_text="An exemption needs one; it is kept in the history.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    exempt_until = forms.DateField(
        required=False,
        label="Exempt until",
        help_text="An exemption ends on a day.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, states: Iterable[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        if states is not None:
            chosen = [(state, text) for state, text in STEPS.items() if state in set(states)]
            self.fields["state"].choices = [("", "Choose a step"), *chosen]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Check what the chosen step needs, so that each error stands at its field."""
        given = super().clean() or {}
        state = given.get("state")
        if state == "scheduled" and not given.get("due") and "due" not in self.errors:
            self.add_error("due", "Enter the day on which the removal is due")
        if state == "exempt":
            if not (given.get("reason") or "").strip():
                self.add_error("reason", "Enter why it is exempt")
            until = given.get("exempt_until")
            if (until is None or until <= timezone.now().date()) and "exempt_until" not in self.errors:
                self.add_error("exempt_until", ValidationError("Enter a day that is yet to come"))
        return given

    def step(self) -> Step:
        """The step of a valid form."""
        given = self.cleaned_data
        return Step(
            given["state"],
            due=given["due"],
            owner=given["owner"],
            replacement=given["replacement"],
            reason=given["reason"],
            exempt_until=given["exempt_until"],
        )
