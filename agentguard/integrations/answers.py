"""What the model is told of a call that did not run, the same in every framework.

Rules:
- a refusal is an answer: its own words, which name the reason and what can be done;
- a guard that is unavailable *before* the tool ran is an answer too, since one thing is certain: it did not run;
- everything else is raised, and ends the run: an outcome that nobody knows, a result that can't be masked or recorded after the tool
  ran, a missing session. A model that goes on after one of these may do the same thing twice, so a person must look.
"""

from __future__ import annotations

from agentguard.errors import CallRefused, GuardUnavailable, InvalidArguments

Unrun = CallRefused | GuardUnavailable
"""What `admit` raises for a call that certainly did not run."""


def answer(error: Unrun) -> str:
    """The text of the error result. It holds no value of an argument and nothing of the deployment."""
    match error:
        case InvalidArguments():
            return f"{error}. The call did not run. Correct the arguments and call again."
        case CallRefused():
            return str(error)
        case GuardUnavailable():
            return (
                f"unavailable: the call could not be checked ({error.component}), so it did not run. "
                "Try again later, or tell the user."
            )


def failure(error: BaseException) -> str:
    """The text of the error result for a tool that raised; `error` is masked already."""
    return f"the tool failed: {type(error).__name__}: {error}"
