"""Its import begins, and does not end. Runs in a worker."""

import threading

from ledger import note_begun

note_begun()
threading.Event().wait()
