"""Plans as a sheet: taken along, edited elsewhere, brought back."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from inventory import sheets
from inventory.pages.frame import Visitor, page, show

__all__ = ["sheet"]

_MOST: Final = 16 * 1024 * 1024
_SHOWN: Final = 50


class SheetForm(forms.Form):
    """A file with plans."""

    file = forms.FileField(
        label="Sheet",
        help_text="CSV or XLSX, with the columns of the export. At most 16 MB.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.xlsx"}),
    )

    def clean_file(self) -> UploadedFile[bytes]:
        """A file that is small enough to read at once."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if file.size is None or file.size > _MOST:
            raise forms.ValidationError("Choose a file of at most 16 MB")
        return file


@page("POST")
def sheet(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Links to take plans along; a form to bring them back, first to look, then to do."""
    form = SheetForm(request.POST or None, request.FILES or None)
    found: sheets.Imported | None = None
    if request.method == "POST" and form.is_valid():
        try:
            rows = sheets.read(form.cleaned_data["file"].read())
            found = sheets.bring(rows, visitor.user, apply=request.POST.get("do") == "apply")
        except sheets.SheetError as why:
            form.add_error("file", f"{str(why)[:1].upper()}{str(why)[1:]}")
        else:
            if found.applied:
                number = found.changes
                messages.success(request, f"{number} plan{'s are' if number != 1 else ' is'} changed.")
                return redirect("plan")
    address = reverse("api-1:get_plans")
    context: dict[str, Any] = {
        "form": form,
        "found": found,
        "faults": found.faults[:_SHOWN] if found else (),
        "columns": sheets.COLUMNS,
        "links": [("CSV", f"{address}?format=csv"), ("XLSX", f"{address}?format=xlsx")],
        "part": {},
    }
    wrong = bool(form.errors) or (found is not None and bool(found.faults))
    return show(request, visitor, "sheet.html", "plan", context, 422 if wrong else 200)
