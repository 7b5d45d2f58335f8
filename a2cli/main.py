"""One run of `a2`, from its arguments to its exit status: an error is one line."""

import gc
import io
import os
import signal
import sys

import typer
from typer.exceptions import TyperException

from a2cli import options
from a2cli.cli.app import WITH_SETTINGS, app
from a2cli.console import base as console
from a2cli.errors import A2Error, DataError, SettingsError
from a2cli.settings import declared, declared_in


def _help(command: str) -> str:
    settings, chosen, run, _ = WITH_SETTINGS[command]
    items = [*declared_in(*settings), *declared(chosen)]
    return console.help_text(command, run.__doc__ or "", items, options.described)


def main() -> None:
    """Run `a2` and end with its exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a folder's name need not be text in the terminal's encoding
        sys.stdout.reconfigure(errors="surrogateescape" if sys.stdout.encoding == "utf-8" else "backslashreplace")
    gc.set_threshold(100_000)  # importing torch makes 200,000 objects and no garbage; search them twice, not 300 times
    status = run_command()
    sys.stderr.flush()
    if "joblib" in sys.modules:  # which has temporary folders to remove at exit
        sys.exit(status)
    os._exit(status)  # all is written and flushed; taking torch and torchvision down would take up to a second


def run_command() -> int:
    """Run the command that the arguments name, and return its exit status; an error is one line."""
    command, *rest = sys.argv[1:] or [""]
    try:
        if "--help" in rest and command in WITH_SETTINGS:  # before the parser, which would first load its type checks
            console.out(_help(command))
            return 0
        status = app(standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that flushing at exit does not complain
        return 141
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # `a2` or `a2 data` alone
            console.note(message)
        else:
            known = command in {item.name for item in app.registered_commands}
            console.error(f"{message.rstrip('.')}; see '{f'a2 {command}' if known else 'a2'} --help'")
        return 2
    except A2Error as error:
        if "--debug" in sys.argv:
            raise
        console.error(str(error))
        return error.exit_status
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        console.error(f"{error.filename or 'output'}: {error.strerror or error}")
        return DataError.exit_status
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
            console.error("not enough memory; use a smaller --batch-size, --image-size or network")
            return SettingsError.exit_status
        console.error(f"a bug in a2, please report it: {type(error).__name__}: {error} (--debug shows where)")
        return 1


def _terminate(*_: object) -> None:
    sys.exit(143)
