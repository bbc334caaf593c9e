"""The conversation at a terminal."""

from __future__ import annotations

from cli.running import Gateway, on_terminal

BYE = "\x04"


def test_a_conversation_remembers(gateway: Gateway) -> None:
    """Each request holds the turns before it, until they are forgotten."""
    with on_terminal("chat", "-m", "sim/request", *gateway.grpc) as terminal:
        terminal.enter("first\r")
        terminal.expect("by sim")
        terminal.enter("second\r")
        assert "first" in terminal.expect("by sim")
        terminal.enter("/reset\r")
        terminal.expect("Forgotten.")
        terminal.enter("third\r")
        assert "first" not in terminal.expect("by sim")
        terminal.enter("/exit\r")
        assert terminal.wait() == 0


def test_ctrl_c_stops_the_answer_and_keeps_the_session(gateway: Gateway) -> None:
    """An answer that never ends is stopped; the conversation goes on, and its text is part of it."""
    with on_terminal("chat", "-m", "sim/fault/stall", *gateway.grpc) as terminal:
        terminal.enter("one two three four\r")
        terminal.expect("four\none")
        terminal.type("\x03")
        terminal.expect("Stopped.")
        terminal.enter("/model sim/request\r")
        terminal.expect("The model is sim/request.")
        terminal.enter("and now\r")
        assert '"assistant"' in terminal.expect("by sim")
        terminal.enter(BYE)
        assert terminal.wait() == 0


def test_ctrl_c_before_the_first_word_forgets_the_question(gateway: Gateway) -> None:
    """Where nothing was written yet, nothing is kept, however early Ctrl-C is pressed."""
    with on_terminal("chat", "-m", "sim/fault/hang", *gateway.grpc) as terminal:
        terminal.enter("lost words\r")
        terminal.expect("lost words\n")
        # The line is echoed before the program has it: as early as that, it is a line that was given up.
        terminal.press("\x03", "Stopped.", "Ctrl-D leaves.")
        terminal.enter("/model sim/request\r")
        terminal.expect("The model is sim/request.")
        terminal.enter("again\r")
        assert "lost words" not in terminal.expect("by sim")


def test_ctrl_c_at_the_prompt_stays(gateway: Gateway) -> None:
    """A line that was begun is given up, and the session is not."""
    with on_terminal("chat", *gateway.grpc) as terminal:
        terminal.enter("half a li")
        terminal.expect("half a li")
        terminal.press("\x03", "Ctrl-D leaves.")
        terminal.enter("whole\r")
        terminal.expect("whole\nwhole\n")


def test_an_error_keeps_the_session(gateway: Gateway) -> None:
    """A turn that fails says why, and the next one is asked for."""
    with on_terminal("chat", "-m", "sim/ecko", *gateway.grpc) as terminal:
        terminal.enter("hello\r")
        terminal.expect("error: ")
        terminal.expect("`sim/echo`")
        terminal.enter("/model sim/echo\r")
        terminal.expect("The model is sim/echo.")
        terminal.enter("hello again\r")
        terminal.expect("hello again\nhello again\n")


def test_an_unknown_command_is_told(gateway: Gateway) -> None:
    """What begins with `/` and is no command is not sent to the model."""
    with on_terminal("chat", *gateway.grpc) as terminal:
        terminal.enter("/exti\r")
        terminal.expect("There is no command /exti.")
        terminal.expect("/exit")


def test_a_terminal_is_given_nothing_to_obey(gateway: Gateway) -> None:
    """What the model echoes of an escape sequence is shown, not obeyed."""
    with on_terminal("chat", "a\x1b[2Jb", *gateway.grpc) as terminal:
        terminal.expect("a\N{REPLACEMENT CHARACTER}[2Jb\n")
        assert terminal.wait() == 0


def test_ctrl_c_ends_a_single_question(gateway: Gateway) -> None:
    """Outside of a conversation Ctrl-C ends the program, with the status that shells know."""
    with on_terminal("chat", "hello", "-m", "sim/fault/stall", *gateway.grpc) as terminal:
        terminal.expect("hello")
        assert terminal.interrupt() == 130
        assert "Traceback" not in terminal.screen


def test_over_http(gateway: Gateway) -> None:
    """The conversation is the same over HTTP."""
    with on_terminal("chat", *gateway.http) as terminal:
        terminal.enter("hello\r")
        terminal.expect("hello\nhello\n")
        terminal.enter(BYE)
        assert terminal.wait() == 0


def test_a_gateway_that_is_not_there_keeps_the_session() -> None:
    """The gateway may be started later."""
    with on_terminal("chat", "--grpc", "127.0.0.1:1") as terminal:
        terminal.enter("hello\r")
        terminal.expect("nothing listens there")
        terminal.enter(BYE)
        assert terminal.wait() == 0
