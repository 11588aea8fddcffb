"""Files are downloaded whole and bounded, and over nothing that others can change."""

import io

import pytest

from apollo_rt.errors import NetworkError
from apollo_rt.network.download import download
from tests.doubles.radio_server import RadioServer, said

CONTENT = bytes(range(256)) * 40


def downloaded(most_bytes=20_000, **answers):
    file = io.BytesIO()
    with RadioServer(**answers) as server:
        download(server.url("model.onnx"), file, most_bytes)
    return file.getvalue()


def test_a_file_comes_as_it_is_with_a_length_and_in_chunks():
    assert downloaded(model_onnx=said(CONTENT, Content_Length=len(CONTENT))) == CONTENT
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
    assert downloaded(model_onnx=said(chunked, start="HTTP/1.1", Transfer_Encoding="chunked")) == CONTENT


def test_more_than_is_taken_is_refused_before_it_comes_and_while_it_does():
    with pytest.raises(NetworkError, match="has 10240 bytes, at most 1000 are taken"):
        downloaded(1000, model_onnx=said(CONTENT, Content_Length=len(CONTENT)))
    with pytest.raises(NetworkError, match="sends more than 1000 bytes"):
        downloaded(1000, model_onnx=said(CONTENT))


def test_what_breaks_off_is_no_file():
    with pytest.raises(NetworkError):
        downloaded(model_onnx=said(CONTENT[:5000], Content_Length=len(CONTENT)))
    with pytest.raises(NetworkError, match="broke off after 10240 bytes"):  # nobody knows whether that was all
        downloaded(model_onnx=said(CONTENT))


def test_an_address_that_is_not_secure_is_refused_and_so_is_one_that_is_led_to():
    with pytest.raises(NetworkError, match="over https:// only"):
        download("http://models.example.org/a.onnx", io.BytesIO(), 10)
    away = said(b"", "302 Found", Location="http://models.invalid/a.onnx")
    with pytest.raises(NetworkError):
        downloaded(model_onnx=away)
