"""The one exception that is meant for the user's eyes."""


class LgsfError(Exception):
    """A mistake in the input that the user can mend.

    The message is one sentence that names the file or key, says what is wrong and what to do.
    The command line prints it without a traceback and exits with status 2.
    """
