"""Uploads files with Google's libraries, as the JSON list of jobs in the first argument
says, all at once; see job in google_test.go. Prints a line of JSON for each."""

import concurrent.futures
import json
import shutil
import sys
import traceback


def storage_library(job):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_delay(initial=0.05, maximum=1)
    client = storage.Client(
        project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": job["endpoint"]}
    )
    blob = client.bucket(job["bucket"]).blob(job["name"], chunk_size=job["chunk"] or None)
    blob.metadata = {"owner": "phone 7"}
    if job["kind"] == "unknown size":
        with open(job["file"], "rb") as source, blob.open("wb", content_type="video/mp4", retry=retry) as target:
            shutil.copyfileobj(source, target, 100_000)
    else:
        blob.upload_from_filename(job["file"], content_type="video/mp4", checksum="auto", retry=retry)
    found = client.bucket(job["bucket"]).get_blob(job["name"])
    return {"size": found.size, "downloaded": len(found.download_as_bytes())}


def resumable_media(job):
    import requests
    from google.resumable_media import common
    from google.resumable_media.requests import MultipartUpload, ResumableUpload

    url = f"{job['endpoint']}/upload/storage/v1/b/{job['bucket']}/o"
    strategy = common.RetryStrategy(max_cumulative_retry=60, initial_delay=0.05, max_sleep=1)
    with open(job["file"], "rb") as stream, requests.Session() as transport:
        if job["kind"] == "simple":
            upload = MultipartUpload(url + "?uploadType=multipart", checksum="crc32c")
            upload._retry_strategy = strategy
            return answer(upload.transmit(transport, stream.read(), {"name": job["name"]}, "video/mp4"))
        upload = ResumableUpload(url + "?uploadType=resumable", job["chunk"] or 1 << 20, checksum="crc32c")
        upload._retry_strategy = strategy
        final = job["kind"] != "unknown size"
        upload.initiate(transport, stream, {"name": job["name"]}, "video/mp4", stream_final=final)
        while not upload.finished:
            response = upload.transmit_next_chunk(transport)
        return answer(response)


def answer(response):
    return {"size": int(response.json()["size"])}


def api_client(job):
    import googleapiclient.discovery
    import googleapiclient.discovery_cache
    import googleapiclient.http

    # An endpoint among the client options would not count for uploads.
    document = json.loads(googleapiclient.discovery_cache.get_static_doc("storage", "v1"))
    document["rootUrl"], document["baseUrl"] = job["endpoint"] + "/", job["endpoint"] + "/storage/v1/"
    service = googleapiclient.discovery.build_from_document(document, http=googleapiclient.http.build_http())
    media = googleapiclient.http.MediaFileUpload(
        job["file"], "video/mp4", chunksize=job["chunk"] or -1, resumable=job["kind"] != "simple"
    )
    request = service.objects().insert(bucket=job["bucket"], name=job["name"], body={}, media_body=media)
    response = None
    for attempt in range(100):
        try:
            if job["kind"] == "simple":
                response = request.execute(num_retries=5)
            else:
                _, response = request.next_chunk()
        except (OSError, googleapiclient.errors.HttpError):  # the application's part: go on after an error
            if attempt == 99:
                raise
        if response:
            break
    return {"size": int(response["size"])}


LIBRARIES = {"google-cloud-storage": storage_library, "google-resumable-media": resumable_media, "google-api-python-client": api_client}


def run(job):
    try:
        return {**LIBRARIES[job["library"]](job), "case": job["case"]}
    except Exception:  # the test reports it
        return {"case": job["case"], "error": traceback.format_exc()}


def main():
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for result in pool.map(run, json.loads(sys.argv[1])):
            print(json.dumps(result), flush=True)


main()
