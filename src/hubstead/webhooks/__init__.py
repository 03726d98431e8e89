"""Webhooks, in the form of 2021: who subscribes, queues of deliveries, and their sender.

The room owns webhooks and deliveries, and is one listener of the outbox among others. It never
reads repositories: an event carries what a delivery says.
"""

from hubstead.webhooks.delivery import Deliveries
from hubstead.webhooks.jobs import webhook_jobs
from hubstead.webhooks.payloads import LISTENER
from hubstead.webhooks.queue import Delivery, RetryPolicy, list_deliveries, prune_deliveries
from hubstead.webhooks.sender import Sender
from hubstead.webhooks.subscriptions import Webhook, add_webhook, list_webhooks, remove_webhook

__all__ = [
    "LISTENER",
    "Deliveries",
    "Delivery",
    "RetryPolicy",
    "Sender",
    "Webhook",
    "add_webhook",
    "list_deliveries",
    "list_webhooks",
    "prune_deliveries",
    "remove_webhook",
    "webhook_jobs",
]
