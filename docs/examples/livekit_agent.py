"""An agent of LiveKit whose avatar sees and hears the user.

    python -m docs.examples.livekit_agent dev

needs LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET of a LiveKit server, and AFJAX_WORKER and AFJAX_SECRET as
`python -m experiments.livekit_worker` prints them. Join its room with any client, as LiveKit's agents playground. The
agent only speaks lines of espeak-ng: one of yours gives its STT, LLM and TTS to `AgentSession`.
"""

import asyncio

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, JobContext, WorkerOptions, cli

from afjax.serving.brains.voice import EspeakVoice
from afjax.serving.livekit.session import AvatarSession

LINES = (
    "Hello. I can see and hear you while I speak.",
    "Smile at me, or look away: I will notice.",
    "I say only these three lines.",
)


async def sound(voice: EspeakVoice, line: str):
    said = await asyncio.to_thread(voice.say, line)
    pcm = (np.clip(said.samples, -1, 1) * 32767).astype(np.int16)
    for piece in np.split(pcm, range(said.rate // 20, len(pcm), said.rate // 20)):
        yield rtc.AudioFrame(piece.tobytes(), said.rate, 1, len(piece))


async def entrypoint(ctx: JobContext):
    await ctx.connect()
    session, avatar, voice = AgentSession(), AvatarSession(), EspeakVoice()
    await avatar.start(session, ctx.room)
    await session.start(Agent(instructions=""), room=ctx.room)
    for line in LINES * 100:
        await session.say(line, audio=sound(voice, line))
        await asyncio.sleep(3)


if __name__ == "__main__":
    cli.run_app(WorkerOptions(entrypoint_fnc=entrypoint))
