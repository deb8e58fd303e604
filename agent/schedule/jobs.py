"""Jobs from the centre: a scan that somebody asks for now, within what this agent may scan anyway."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from agent.config import ConfigError, checked
from agent.outbox.https import Https, HttpsError
from agent.outbox.jetstream import NatsLink, connected
from agent.schedule.settings import AgentSettings, ScopePlan
from agent.scope import Scope, ScopeError
from exchange.subjects import JOBS, jobs_of, word

__all__ = ["HttpsJobs", "Job", "Jobs", "NatsJobs", "job_scope"]

_MAX_JOBS: Final = 16
_MAX_TARGETS: Final = 256
_JOBS_STREAM: Final = "CAMCENSUS_JOBS"
_ACK_SECONDS: Final = 7_200


@dataclass(frozen=True, slots=True)
class Job:
    """What the inventory asks for: a site, targets (none: all of a scope), a profile (none: the scope's)."""

    id: str
    site: str
    targets: tuple[str, ...] = ()
    scope: str = ""
    profile: str = ""

    @classmethod
    def from_json(cls, value: object) -> Job | None:
        """The job of an answer; None for what is none."""
        if not isinstance(value, dict):
            return None
        targets = value.get("targets") or []
        words = [value.get(name) or "" for name in ("id", "site", "scope", "profile")]
        if not all(isinstance(text, str) and len(text) <= 100 for text in words):
            return None
        if not isinstance(targets, list) or len(targets) > _MAX_TARGETS:
            return None
        if (
            not words[0]
            or not words[1]
            or not all(isinstance(row, str) and len(row) <= 100 for row in targets)
        ):
            return None
        return cls(words[0], words[1], tuple(targets), words[2], words[3])


class Jobs(Protocol):
    """Where jobs come from. Raises nothing; `state` says what is wrong, if anything."""

    state: str

    def take(self) -> Sequence[Job]:
        """The jobs that wait."""
        ...

    def done(self, job: str, report: str, outcome: str, word: str) -> None:
        """Say that a job was done, in which report."""
        ...

    def refuse(self, job: Job, why: str) -> None:
        """Say that a job will not be done."""
        ...

    def refuse_later(self, job: str, why: str) -> None:
        """Say that a job cannot be done now."""
        ...

    def close(self) -> None:
        """Let go of the link."""
        ...


def job_scope(job: Job, settings: AgentSettings) -> ScopePlan | str:
    """What a job asks for, as a scope; or why it is not within what agent.toml allows."""
    why = f"this agent does not scan site {job.site}"
    for plan in settings.scopes:
        if plan.site != job.site or (job.scope and plan.name != job.scope):
            continue
        if any(target.startswith("@") for target in job.targets):
            return "targets are addresses, CIDRs or ranges"
        try:
            outside = _outside(job.targets, plan)
            profile = checked("profile", job.profile, "profile") if job.profile else plan.settings.profile
        except (ScopeError, ConfigError) as error:
            return str(error)
        if outside:
            why = f"{outside} is outside of scope {plan.id} of agent.toml"
            continue
        if _harder(profile, plan.settings.profile):
            return f"profile {profile} is harder than the {plan.settings.profile} that agent.toml allows"
        wanted = replace(plan.settings, targets=job.targets or plan.settings.targets, profile=profile)
        return replace(plan, name=f"{plan.name}!" if job.targets else plan.name, settings=wanted)
    return why


def _outside(targets: Sequence[str], plan: ScopePlan) -> str:
    """The first target that is not wholly within the scope."""
    allowed = Scope.parse(plan.settings.targets, allow_public=plan.settings.allow_public)
    for target in targets:
        asked = Scope.parse((target,), allow_public=(target,), resolve=_no_names)
        if not asked.within(allowed):
            return target
    return ""


def _no_names(name: str) -> tuple[str, ...]:
    """Nobody makes this machine ask a name server by a job."""
    raise OSError(f"{name}: jobs name no hosts")


def _harder(profile: str, limit: str) -> bool:
    order = ("gentle", "standard", "thorough")
    return order.index(profile) > order.index(limit)


class HttpsJobs:
    """Asks the inventory for jobs, every now and then."""

    def __init__(self, link: Https, sites: Sequence[str]) -> None:
        """Nothing is asked yet."""
        self._link, self._sites, self.state = link, sites, ""

    def take(self) -> Sequence[Job]:
        """The jobs that wait for our sites."""
        found: list[Job] = []
        for site in self._sites:
            answer = self._try(lambda site=site: self._link.get("api/v1/jobs", {"site": site}))
            rows = answer.get("jobs") if isinstance(answer, dict) else None
            jobs = [Job.from_json(row) for row in (rows if isinstance(rows, list) else [])[:_MAX_JOBS]]
            found += [job for job in jobs if job is not None and job.site == site]
        return found

    def done(self, job: str, report: str, outcome: str, word: str) -> None:
        """Say that a job was done, in which report."""
        self._tell(job, state="failed" if outcome == "failed" else "done", report=report, reason=word[:500])

    def refuse(self, job: Job, why: str) -> None:
        """Say that a job will not be done."""
        self._tell(job.id, state="refused", reason=why[:500])

    def refuse_later(self, job: str, why: str) -> None:
        """Say that a job cannot be done now."""
        self._tell(job, state="waiting", reason=why[:500])

    def close(self) -> None:
        """Let go of the link."""
        self._link.close()

    def _tell(self, job: str, **said: str) -> None:
        self._try(lambda: self._link.post(f"api/v1/jobs/{job}", said))

    def _try(self, do: Any) -> Any:
        try:
            answer = do()
        except HttpsError as error:
            self.state = str(error)
            return None
        self.state = ""
        return answer


class NatsJobs:
    """Takes jobs from the work queue of each site on JetStream; a word on each goes back as its answer."""

    def __init__(self, link: NatsLink, sites: Sequence[str]) -> None:
        """Nothing is asked yet."""
        self._link, self._agent, self._sites, self.state = link, link.agent, sites, ""
        self._runner = asyncio.Runner()
        self._client: Any = None
        self._open: dict[str, Any] = {}

    def take(self) -> Sequence[Job]:
        """The jobs that wait for our sites."""
        return self._runner.run(self._take())

    def done(self, job: str, report: str, outcome: str, word: str) -> None:
        """Say that a job was done, in which report."""
        state = "failed" if outcome == "failed" else "done"
        self._runner.run(self._tell(job, {"state": state, "report": report, "reason": word[:500]}, "ack"))

    def refuse(self, job: Job, why: str) -> None:
        """Say that a job will not be done."""
        self._runner.run(self._tell(job.id, {"state": "refused", "reason": why[:500]}, "term"))

    def refuse_later(self, job: str, why: str) -> None:
        """Say that a job cannot be done now: it comes again."""
        self._runner.run(self._tell(job, {"state": "waiting", "reason": why[:500]}, "nak"))

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(Exception):
            self._runner.run(self._leave())
        self._runner.close()

    async def _take(self) -> list[Job]:
        found: list[Job] = []
        try:
            stream = await self._stream()
            for site in self._sites:
                waiting = await stream.pull_subscribe(
                    jobs_of(site), durable=f"jobs-{word(site)}", stream=_JOBS_STREAM
                )
                with contextlib.suppress(TimeoutError):
                    for message in await waiting.fetch(_MAX_JOBS, timeout=0.5):
                        job = Job.from_json(_loads(message.data))
                        if job is None or job.site != site:
                            await message.term()
                            continue
                        self._open[job.id] = message
                        found.append(job)
                await waiting.unsubscribe()
        except Exception as error:  # noqa: BLE001 - whatever the library raises, there are no jobs now
            self.state = f"jobs cannot be read: {' '.join(str(error).split())[:200] or type(error).__name__}"
            await self._leave()
        else:
            self.state = ""
        return found

    async def _tell(self, job: str, said: dict[str, str], how: str) -> None:
        message = self._open.pop(job, None)
        try:
            stream = await self._stream()
            answer = json.dumps({"job": job, "agent": self._agent, **said}).encode()
            await stream.publish(f"{JOBS}-answers.{word(self._agent)}", answer, timeout=20)
            if message is not None:
                await getattr(message, how)()
        except Exception as error:  # noqa: BLE001 - the job comes again, and is answered then
            self.state = f"a job could not be answered: {type(error).__name__}"
            await self._leave()

    async def _stream(self) -> Any:
        if self._client is None or not self._client.is_connected:
            self._client = await connected(self._link, self._noticed)
        return self._client.jetstream(timeout=20, domain=self._link.domain or None)

    async def _noticed(self, error: Exception) -> None:
        self.state = f"jobs: {type(error).__name__}"

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                await client.close()


def _loads(data: bytes) -> object:
    try:
        return json.loads(data[:100_000])
    except (ValueError, RecursionError):
        return None
