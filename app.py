"""Regard: see where every head looks, and check every number you see.

A server (`regard`, `streamlit run app.py`, `uvicorn app:app`) imports this file for its app. That app runs this same
file again for every visitor, as a script.
"""

if __name__ == "__main__":
    from viz import frame

    frame.draw()
else:
    import streamlit as st

    from viz import server

    app = st.App(__file__, routes=server.ROUTES, middleware=server.middleware(), lifespan=server.announced)
