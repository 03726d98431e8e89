"""Who is told what happens to repositories, and telling them: the webhook of 2021."""

from hubstead.webhooks.delivery import Deliveries
from hubstead.webhooks.jobs import LANES, handlers, plan
from hubstead.webhooks.lines import Delivery, Patience, list_deliveries, prune_deliveries
from hubstead.webhooks.sending import Sender
from hubstead.webhooks.subscriptions import Webhook, add_webhook, list_webhooks, remove_webhook
from hubstead.webhooks.telling import take_up

__all__ = [
    "LANES",
    "Deliveries",
    "Delivery",
    "Patience",
    "Sender",
    "Webhook",
    "add_webhook",
    "handlers",
    "list_deliveries",
    "list_webhooks",
    "plan",
    "prune_deliveries",
    "remove_webhook",
    "take_up",
]
