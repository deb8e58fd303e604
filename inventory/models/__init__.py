"""Every table of the inventory."""

from __future__ import annotations

from inventory.models.contacts import CloudCall, Contact
from inventory.models.devices import Device, Facts, Finding, Identity, Sighting, SiteTally, Verdict
from inventory.models.fleet import EnrolmentCode, Job, JobState, KnowledgePack
from inventory.models.people import AuditEntry, Membership, Role, SavedView, SignInFailure, SignOnIdentity
from inventory.models.places import Kind, Organisation, Sensitivity, Site, Subnet
from inventory.models.removal import Alert, DailyStep, Deadline, Plan, PlanChange
from inventory.models.runs import Agent, ApiToken, Run, RunPart

__all__ = [
    "Agent",
    "Alert",
    "ApiToken",
    "AuditEntry",
    "CloudCall",
    "Contact",
    "DailyStep",
    "Deadline",
    "Device",
    "EnrolmentCode",
    "Facts",
    "Finding",
    "Identity",
    "Job",
    "JobState",
    "Kind",
    "KnowledgePack",
    "Membership",
    "Organisation",
    "Plan",
    "PlanChange",
    "Role",
    "Run",
    "RunPart",
    "SavedView",
    "Sensitivity",
    "Sighting",
    "SignInFailure",
    "SignOnIdentity",
    "Site",
    "SiteTally",
    "Subnet",
    "Verdict",
]
