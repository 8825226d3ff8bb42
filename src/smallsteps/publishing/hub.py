"""Upload of an exported folder to the Hugging Face Hub, through huggingface_hub.

Nothing of the folder is sent unless the user says so twice, by `--push NAME` and by `--yes`. A name
without an owner goes below the account of the token, as huggingface_hub has it; whose that is, the
Hub is asked before. The token is read where huggingface_hub keeps it; it is never printed. Where
the Hub is follows HF_ENDPOINT."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smallsteps.disk import CARD
from smallsteps.errors import RecipeError, UploadError, counted
from smallsteps.publishing.export import exported_files
from smallsteps.students.card import FROM_DATA, card_metadata, example_on_card

_NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Upload:
    """Where a folder goes."""

    name: str
    """`owner/name`; without an owner, below the account of the token."""
    private: bool = False
    """Whether a new repository is private; one that is there stays as it is."""

    @property
    def place(self) -> str:
        """Where it goes, for messages."""
        if "/" in self.name:
            return self.name
        return f"YOUR-NAME/{self.name} (YOUR-NAME is the account of your token)"

    def with_owner(self) -> Upload:
        """The same place with its owner; unchanged where the Hub cannot be asked."""
        if "/" in self.name:
            return self
        owner = _account()
        return self if owner is None else replace(self, name=f"{owner}/{self.name}")

    def check_token(self) -> None:
        """Raises UploadError where there is no token."""
        from huggingface_hub import get_token

        if not get_token():
            raise UploadError(
                "--push: no token for the Hub. Type `hf auth login`, or set HF_TOKEN."
            )


def check_name(name: str) -> str:
    """The name of a repository. Raises RecipeError where the Hub knows no such names."""
    bare = name.rpartition("/")[2]
    wrong = "--" in name or ".." in name or len(bare) > 96 or bare.endswith((".git", ".", "-"))
    if wrong or not _NAME.fullmatch(name):
        raise RecipeError(
            f"--push {name}: not a name on the Hub. Expected owner/name, of letters, digits and "
            "single . - _ inside."
        )
    return name


def plan_upload(folder: Path, target: Upload) -> list[str]:
    """Lines that say what an upload would send."""
    files = exported_files(folder)
    size = sum((folder / name).stat().st_size for name in files)
    card = folder / CARD
    lines = [
        f"would upload {counted(len(files), 'file')}, {size / 1e6:,.1f} MB, to {target.place} "
        f"({'private' if target.private else 'public'} if it is new)"
    ]
    if card_metadata(folder).get("license") is None:
        lines.append(f"the card names no license: add `license:` to {card} first")
    shown = FROM_DATA in card.read_text(encoding="utf-8", errors="replace")
    if shown or example_on_card(folder) is not None:
        lines.append(f"the card shows a question of your data: take it out of {card} if need be")
    return lines


def upload(folder: Path, target: Upload) -> str:
    """Makes the repository where there is none, uploads the folder in one commit, and returns its
    URL. Raises UploadError with the Hub's reason."""
    from huggingface_hub import HfApi

    target.check_token()
    api = HfApi()
    try:
        place: Any = api.create_repo(target.name, private=target.private or None, exist_ok=True)
        api.upload_folder(
            repo_id=place.repo_id,
            folder_path=folder,
            allow_patterns=exported_files(folder),
            commit_message="Upload a student of smallsteps",
        )
    except Exception as error:  # huggingface_hub and its HTTP client raise many kinds
        raise UploadError(f"--push {target.name}: {_reason(error)}") from None
    return str(place)


def _account() -> str | None:
    """The name of the account that the token belongs to; None: there is no token, or the Hub does
    not say."""
    from huggingface_hub import HfApi, get_token

    if not get_token():
        return None
    try:
        name = HfApi().whoami().get("name")
    except Exception:  # huggingface_hub and its HTTP client raise many kinds
        return None
    return name if isinstance(name, str) else None


def _reason(error: Exception) -> str:
    """Why, in one line, with what to do where that is known."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set. Unset it to upload."
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"the Hub refuses the token ({status}). It needs write access to this name: type "
            "`hf auth login` with another one."
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"upload failed ({lines[0] if lines else type(error).__name__}). Try again."
