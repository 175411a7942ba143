"""What a person reads of an error."""

from headroom.errors import first_line


def test_of_an_error_in_a_worker_the_cause_is_told() -> None:
    text = (
        "An exception was thrown from the Python worker.\n"
        "Traceback (most recent call last):\n  File x\nValueError: no lags for item 7\n"
    )
    assert first_line(RuntimeError(text)) == "ValueError: no lags for item 7"
    java = (
        "An error occurred while calling o77.execute.\n: org.apache.DeltaIOException: [NO_PATH] "
        "Cannot create file:/x\n\tat a.b(C.scala:1)\n"
    )
    assert first_line(RuntimeError(java)) == "[NO_PATH] Cannot create file:/x"
    assert first_line(RuntimeError("one\ntwo")) == "one"
    assert first_line(RuntimeError()) == "RuntimeError"
