"""An SMS centre for Kannel: takes SMPP binds and messages, and sends a receipt where one is asked for.

Arguments: the port to listen on. Prints `listens` once it does, and then a line for each message: the number
of the bind that it came by, and its phone. Every message is taken, and delivered a second later.
"""

import asyncio
import sys

import smpp34

# Real centres need longer; sooner, a receipt could overtake the answer to the message.
DELIVERY_SECONDS = 1
# `registered_delivery`: the lowest bit asks for a receipt.
RECEIPT_WANTED = 1
# `esm_class` of a receipt.
IS_RECEIPT = 4


async def deliver(esme, message, number):
    """Sends the receipt of a message."""
    await asyncio.sleep(DELIVERY_SECONDS)
    receipt = (
        f"id:{number} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000"
        " stat:DELIVRD err:000 text:"
    )
    try:
        await esme.deliver_sm(
            message.source_addr,
            receipt.encode(),
            source_addr=message.destination_addr,
            esm_class=IS_RECEIPT,
        )
    except smpp34.SmppError as error:
        # Whoever bound is gone, and its receipts with it.
        print(f"no receipt for {number}: {error}", flush=True)


async def main():
    server = smpp34.Server("127.0.0.1", int(sys.argv[1]), system_id="centre")
    await server.start()
    print("listens", flush=True)

    binds, taken, receipts = {}, 0, set()
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            binds[event.session_id] = (len(binds) + 1, event)
        elif isinstance(event, smpp34.SubmitSmEvent):
            bind, esme = binds[event.session_id]
            taken += 1
            print(bind, event.destination_addr, flush=True)
            event.accept(str(taken))
            if event.registered_delivery & RECEIPT_WANTED:
                # The loop keeps no task alive by itself.
                receipt = asyncio.create_task(deliver(esme, event, taken))
                receipts.add(receipt)
                receipt.add_done_callback(receipts.discard)


asyncio.run(main())
